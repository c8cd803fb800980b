#include "tests/distributed/mpi/backends.hpp"

#include "distributed/nccl_communicator.hpp"
#include "tests/support/gpu_stand_in.hpp"
#include "tests/support/world.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

namespace stylescope::testing_support {
namespace {

class SelfBackend final : public Backend {
 public:
  Communicator& world() override { return self_; }
  torch::Tensor place(const torch::Tensor& tensor) override { return tensor.clone(); }

 private:
  SelfCommunicator self_;
};

class MpiBackend final : public Backend {
 public:
  Communicator& world() override { return testing_support::world(); }
  torch::Tensor place(const torch::Tensor& tensor) override { return tensor.clone(); }
};

class RealNccl final : public Backend {
 public:
  RealNccl()
      : device_(testing_support::world().rank() % static_cast<int>(torch::cuda::device_count())) {
    ::setenv("NCCL_MULTI_RANK_GPU_ENABLE", "1", 1);  // there may be fewer GPUs than ranks
    functions_ = nccl_functions();
    world_ = make_nccl_communicator(testing_support::world(), functions_, device_);
    if (world_->is_root()) std::printf("nccl: %s on GPUs\n", functions_.library.c_str());
  }
  Communicator& world() override { return *world_; }
  torch::Tensor place(const torch::Tensor& tensor) override {
    return tensor.to(torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(device_)));
  }

 private:
  int device_;
  GpuFunctions functions_;
  std::unique_ptr<Communicator> world_;
};

class StandInNccl final : public Backend {
 public:
  StandInNccl() : gpu_(testing_support::world()) {
    world_ = make_nccl_communicator(testing_support::world(), gpu_.functions(), 0);
    if (world_->is_root())
      std::printf("nccl: no GPU here; the backend runs on a stand-in for NCCL and CUDA\n");
  }
  ~StandInNccl() override {
    world_.reset();
    for (const auto& text : gpu_.complaints()) ADD_FAILURE() << text;
    for (const auto& text : gpu_.leftovers()) ADD_FAILURE() << text;
  }
  StandInNccl(const StandInNccl&) = delete;
  StandInNccl& operator=(const StandInNccl&) = delete;
  Communicator& world() override { return *world_; }
  torch::Tensor place(const torch::Tensor& tensor) override { return gpu_.place(tensor); }

 private:
  GpuStandIn gpu_;
  std::unique_ptr<Communicator> world_;
};

std::unique_ptr<Backend> make(const std::string& name) {
  if (name == "self") return std::make_unique<SelfBackend>();
  if (name == "mpi") return std::make_unique<MpiBackend>();
  if (torch::cuda::is_available()) return std::make_unique<RealNccl>();
  return std::make_unique<StandInNccl>();
}

// Communicators end before MPI does.
class Backends final : public testing::Environment {
 public:
  void TearDown() override { made.clear(); }
  std::map<std::string, std::unique_ptr<Backend>> made;
};

auto* const backends = static_cast<Backends*>(testing::AddGlobalTestEnvironment(new Backends));

}  // namespace

std::vector<std::string> backend_names() {
  if (world().size() == 1) return {"self", "mpi", "nccl"};
  return {"mpi", "nccl"};
}

Backend& backend(const std::string& name) {
  auto& made = backends->made[name];
  if (!made) made = make(name);
  return *made;
}

}  // namespace stylescope::testing_support
