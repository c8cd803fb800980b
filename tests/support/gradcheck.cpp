#include "tests/support/gradcheck.hpp"

#include "tests/support/golden.hpp"

#include <gtest/gtest.h>

namespace stylescope::testing_support {
namespace {

constexpr double kStep = 1e-6;

torch::Tensor fixed_vector(const std::string& name, const torch::Tensor& like) {
  return golden::values("gradcheck." + name, 0, like.sizes());
}

std::vector<torch::Tensor> leaves(const std::vector<torch::Tensor>& inputs) {
  std::vector<torch::Tensor> copies;
  // clone() keeps the memory format, so that channels_last inputs are checked as such.
  for (const auto& x : inputs) copies.push_back(x.detach().clone().set_requires_grad(true));
  return copies;
}

std::vector<torch::Tensor> gradients(const torch::Tensor& scalar,
                                     const std::vector<torch::Tensor>& inputs, bool create_graph) {
  auto grads = torch::autograd::grad({scalar}, inputs, {}, /*retain_graph=*/true, create_graph,
                                     /*allow_unused=*/true);
  for (size_t i = 0; i < grads.size(); ++i)
    if (!grads[i].defined()) grads[i] = torch::zeros_like(inputs[i]);
  return grads;
}

}  // namespace

void expect_gradient(const TensorFunction& f, std::vector<torch::Tensor> inputs, double tolerance) {
  const auto scalar = [&](const std::vector<torch::Tensor>& x) {
    const auto y = f(x);
    return (y * fixed_vector("output", y)).sum();
  };
  auto x = leaves(inputs);
  const auto value = scalar(x);
  ASSERT_TRUE(value.requires_grad()) << "the function has no derivative";
  const auto analytic = gradients(value, x, false);
  // No NoGradGuard here: the function may itself differentiate (expect_second_gradient).
  for (size_t i = 0; i < x.size(); ++i) {
    auto elements = x[i].detach();
    std::vector<int64_t> at(static_cast<size_t>(elements.dim()), 0);
    const auto flat_gradient = analytic[i].contiguous().view(-1);
    for (int64_t k = 0; k < elements.numel(); ++k) {
      int64_t rest = k, offset = 0;
      for (int64_t d = elements.dim() - 1; d >= 0; --d) {
        offset += rest % elements.size(d) * elements.stride(d);
        rest /= elements.size(d);
      }
      double& element = elements.data_ptr<double>()[offset];
      const double original = element;
      element = original + kStep;
      const double up = scalar(x).item<double>();
      element = original - kStep;
      const double down = scalar(x).item<double>();
      element = original;
      const double numeric = (up - down) / (2 * kStep);
      const double exact = flat_gradient[k].item<double>();
      ASSERT_NEAR(exact, numeric, tolerance * (1 + std::abs(exact)))
          << "input " << i << ", element " << k;
    }
  }
}

void expect_second_gradient(const TensorFunction& f, std::vector<torch::Tensor> inputs,
                            double tolerance) {
  const auto first = [&](const std::vector<torch::Tensor>& x) {
    const auto y = f(x);
    const auto grads = gradients((y * fixed_vector("output", y)).sum(), x, true);
    torch::Tensor sum = torch::zeros({}, torch::kFloat64);
    for (size_t i = 0; i < grads.size(); ++i)
      if (grads[i].requires_grad())
        sum = sum + (grads[i] * fixed_vector("gradient" + std::to_string(i), grads[i])).sum();
    return sum;
  };
  // Where the gradient does not depend on any input, the second derivative is zero and there is
  // nothing to compare.
  if (!first(leaves(inputs)).requires_grad()) return;
  expect_gradient(first, std::move(inputs), tolerance);
}

}  // namespace stylescope::testing_support
