#pragma once

#include "distributed/communicator.hpp"
#include "distributed/stop_signal.hpp"

#include <cstdint>
#include <memory>
#include <string>

#include <torch/torch.h>

// How this process was started, and what of the machine it may use.
namespace stylescope {

// Started by mpirun or srun? If not, this is a world of one and MPI stays out of it.
bool launched_as_rank();
// As the launcher says before MPI has started; 0 without one.
int launched_rank();
// Ranks on this host, and which of them this is. 1 and 0 without a launcher.
int local_size();
int local_rank();

// `threads` if positive; else the cores of this host shared out among its ranks, within what this
// process may use.
int64_t threads_for_rank(int64_t threads);

// "auto", "cpu" or "cuda" to a device; ranks of a host take its GPUs in turn. Throws Error for cuda
// where there is none.
torch::Device choose_device(const std::string& device);
torch::Dtype dtype_of(const std::string& precision);

// What a command that computes starts from.
struct Launch {
  Communicator& world;
  StopSignal& stop;
  torch::Device device;
  torch::Dtype dtype;
  int64_t threads;
  // Where GPUs talk by NCCL: what `world` is, and the same ranks by host memory.
  std::shared_ptr<Communicator> nccl = nullptr;
  Communicator* host = nullptr;
};
// Chooses device and threads, sets LibTorch's, and puts NCCL before the ranks' communicator where
// they compute on GPUs (`backend` auto: when every rank has a GPU of its own; nccl: or throws
// Error; mpi: never). Collective.
Launch launch(Communicator& world, StopSignal& stop, const std::string& device,
              const std::string& precision, int64_t threads, const std::string& backend = "auto");

}  // namespace stylescope
