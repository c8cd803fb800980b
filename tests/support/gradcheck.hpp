#pragma once

#include <functional>
#include <vector>

#include <torch/torch.h>

// LibTorch has no gradcheck in C++: this is ours. Inputs are float64 leaves; central differences
// with step 1e-6.
namespace stylescope::testing_support {

using TensorFunction = std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

// Fails the running test unless the analytic derivative of sum(f(x) * r), r fixed and
// pseudo-random, agrees with the numeric one in every element of every input to `tolerance`
// (absolute plus relative).
void expect_gradient(const TensorFunction& f, std::vector<torch::Tensor> inputs,
                     double tolerance = 1e-6);

// The same one order higher: the function checked is the gradient itself, contracted with a fixed
// vector.
void expect_second_gradient(const TensorFunction& f, std::vector<torch::Tensor> inputs,
                            double tolerance = 1e-6);

}  // namespace stylescope::testing_support
