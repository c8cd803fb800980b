#pragma once

#include <torch/types.h>

// The passes of Adam over flat buffers on the CPU: each value is read and written once. float32 and
// float64, contiguous.
namespace stylescope::detail {

// What a step of Adam multiplies by (Kingma and Ba 2015, algorithm 1).
struct AdamFactors {
  double beta1, beta2, epsilon;
  double decay;               // 1 - learning rate * weight decay
  double step_size;           // learning rate / (1 - beta1^t)
  double root_of_correction;  // sqrt(1 - beta2^t)
};

bool adam_suits(const torch::Tensor& values);
void adam_step_cpu(torch::Tensor values, const torch::Tensor& gradient, torch::Tensor mean,
                   torch::Tensor square, const AdamFactors& factors);
// How many values are not finite.
int64_t count_non_finite_cpu(const torch::Tensor& values);

}  // namespace stylescope::detail
