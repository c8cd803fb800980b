#include "pipeline/launch.hpp"

#include "distributed/gpu_functions.hpp"
#include "distributed/host.hpp"
#include "distributed/nccl_communicator.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/ops/cuda_kernels.hpp"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <sched.h>
#include <set>
#include <unistd.h>

#include <ATen/Context.h>

namespace stylescope {
namespace {

// The first of these environment variables that is set and starts with a number
// (SLURM_TASKS_PER_NODE is like "2(x3)").
int number_from(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names) {
    const char* text = std::getenv(name);
    if (!text) continue;
    char* end = nullptr;
    const long number = std::strtol(text, &end, 10);
    if (end != text && number >= 0) return static_cast<int>(number);
  }
  return otherwise;
}

int64_t usable_cores() {
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  return ::sysconf(_SC_NPROCESSORS_ONLN);
}

}  // namespace

bool launched_as_rank() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") || std::getenv("PMIX_RANK") || std::getenv("PMI_RANK");
}

int launched_rank() {
  return number_from({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}, 0);
}

int local_size() {
  if (!launched_as_rank()) return 1;
  return std::max(1, number_from({"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE",
                                  "SLURM_TASKS_PER_NODE"},
                                 1));
}

int local_rank() {
  return launched_as_rank() ? number_from({"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"}, 0) : 0;
}

int64_t threads_for_rank(int64_t threads) {
  if (threads > 0) return threads;
  // A rank bound to cores of its own sees those alone; unbound ranks all see the whole host.
  int64_t share = std::min<int64_t>(usable_cores(), ::sysconf(_SC_NPROCESSORS_ONLN) / local_size());
  if (launched_as_rank())
    if (const int given = number_from({"SLURM_CPUS_PER_TASK"}, 0); given > 0)
      share = std::min<int64_t>(share, given);
  return std::max<int64_t>(1, share);
}

torch::Device choose_device(const std::string& device) {
  const auto gpus = device == "cpu" ? 0 : static_cast<int>(torch::cuda::device_count());
  if (gpus > 0) return {torch::kCUDA, static_cast<torch::DeviceIndex>(local_rank() % gpus)};
  validate(device != "cuda",
           "device: cuda was asked for, but this process sees no GPU (LibTorch without CUDA, no "
           "driver, or "
           "CUDA_VISIBLE_DEVICES is empty); use device: auto or cpu");
  return torch::kCPU;
}

torch::Dtype dtype_of(const std::string& precision) {
  return precision == "float64" ? torch::kFloat64 : torch::kFloat32;
}

namespace {

// NCCL refuses several ranks on one GPU, but for tests.
bool all_have_gpus_of_their_own(Communicator& world, const torch::Device& device) {
  const auto mine = device.is_cuda() ? host_name() + " " + gpu_bus_id(device.index()) : "";
  std::set<std::string> seen;
  for (const auto& gpu : world.all_gather(mine))
    if (gpu.empty() || (!seen.insert(gpu).second && !std::getenv("NCCL_MULTI_RANK_GPU_ENABLE")))
      return false;
  return true;
}

std::shared_ptr<Communicator> nccl_world(Communicator& world, const torch::Device& device,
                                         const std::string& backend) {
  if (backend == "mpi") return nullptr;
  const bool all = all_have_gpus_of_their_own(world, device);
  validate(all || backend != "nccl",
           "distributed.backend: nccl was asked for, but not every rank has a GPU of its own; use "
           "auto or mpi, or start one rank a GPU");
  if (!all || (world.size() == 1 && backend != "nccl")) return nullptr;
  static const GpuFunctions gpu = nccl_functions();
  return make_nccl_communicator(world, gpu, device.index());
}

}  // namespace

Launch launch(Communicator& world, StopSignal& stop, const std::string& device,
              const std::string& precision, int64_t threads, const std::string& backend) {
  const int64_t chosen = threads_for_rank(threads);
  torch::set_num_threads(static_cast<int>(chosen));
  // float32 means float32: LibTorch convolves float32 images in TF32, with 10 bits of mantissa,
  // unless told otherwise. StyleGAN2-ADA trains without it, too.
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  const auto place = choose_device(device);
  const auto warnings = cuda_kernel_warnings(place);
  if (world.is_root())
    for (const auto& warning : warnings) log::warn("{}", warning);
  auto nccl = nccl_world(world, place, backend);
  return {nccl ? *nccl : world,   stop, place, dtype_of(precision), chosen, nccl,
          nccl ? &world : nullptr};
}

}  // namespace stylescope
