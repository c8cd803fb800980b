#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace stylescope {

// Where the time of a program goes, by kind of operation.
enum class OperationKind {
  convolution_forward,
  convolution_backward,
  winograd,
  matmul,
  upfirdn2d,
  activation,
  elementwise,
  copy,
  optimizer,
  other
};
constexpr size_t kOperationKinds = 10;
const char* name_of(OperationKind kind);
// "aten::mul" and the like; "stylescope::..." are the passes of stages/ops and the optimizers.
OperationKind operation_kind(const std::string& name);

// Seconds by kind.
struct OperationTimes {
  std::array<double, kOperationKinds> seconds{};
  double total() const;
  OperationTimes& add(const OperationTimes& more, double weight);
};

// Times the operations of LibTorch and ours that run while it lives, each without those that it
// calls (on the CPU, where they run when they are called). One at a time; it slows the program down
// a little.
class OperationProfile {
 public:
  OperationProfile();
  ~OperationProfile();
  OperationProfile(const OperationProfile&) = delete;
  OperationProfile& operator=(const OperationProfile&) = delete;
  // Until now; what is no operation is `other`.
  OperationTimes times() const;

 private:
  uint64_t handle_;
  double begin_;
};

}  // namespace stylescope
