#include "stages/training/prefetch.hpp"

#include <cstring>

namespace stylescope {

torch::Tensor staged_for(torch::Device device, const torch::Tensor& host) {
  if (!device.is_cuda() || !host.defined()) return host;
  SS_CHECK(host.is_cpu() && host.is_contiguous(), host.strides());
  // Not pin_memory(): its copy would start a second pool of LibTorch's threads from a thread beside
  // the training.
  auto pinned = torch::empty(host.sizes(), host.options().pinned_memory(true));
  std::memcpy(pinned.mutable_data_ptr(), host.const_data_ptr(), host.nbytes());
  return pinned;
}

torch::Tensor to_device(const torch::Tensor& staged, torch::Device device) {
  return staged.to(device, staged.scalar_type(), /*non_blocking=*/true);
}

}  // namespace stylescope
