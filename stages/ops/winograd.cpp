#include "stages/ops/winograd.hpp"

#include "io/base/error.hpp"
#include "stages/ops/storage_type.hpp"
#include "stages/ops/winograd_kernel.hpp"

#include <algorithm>

#include <torch/torch.h>

namespace stylescope {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The convolution (or, `adjoint`, its adjoint in the image) and the gradient in its weight are
// bilinear, and each is the other's derivative: they close the circle of derivatives of any order.
class Convolution3x3 : public torch::autograd::Function<Convolution3x3> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, double gain, bool adjoint) {
    context->save_for_backward({x, weight});
    context->saved_data["gain"] = gain;
    context->saved_data["adjoint"] = adjoint;
    return detail::winograd_forward_cpu(x, weight, gain, adjoint);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients);
};

// The gradient of the convolution of x in its weight, for the gradient of its result.
class WeightGradient3x3 : public torch::autograd::Function<WeightGradient3x3> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& gradient, double gain) {
    context->save_for_backward({x, gradient});
    context->saved_data["gain"] = gain;
    return detail::winograd_weight_gradient_cpu(x, gradient, gain);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const double gain = context->saved_data["gain"].toDouble();
    torch::Tensor dx, dg;
    if (context->needs_input_grad(0))
      dx = Convolution3x3::apply(saved[1], gradients[0], gain, /*adjoint=*/true);
    if (context->needs_input_grad(1))
      dg = Convolution3x3::apply(saved[0], gradients[0], gain, /*adjoint=*/false);
    return {dx, dg, torch::Tensor()};
  }
};

variable_list Convolution3x3::backward(AutogradContext* context, variable_list gradients) {
  const auto saved = context->get_saved_variables();
  const double gain = context->saved_data["gain"].toDouble();
  const bool adjoint = context->saved_data["adjoint"].toBool();
  torch::Tensor dx, dw;
  if (context->needs_input_grad(0))
    dx = Convolution3x3::apply(gradients[0], saved[1], gain, !adjoint);
  if (context->needs_input_grad(1))
    dw = adjoint ? WeightGradient3x3::apply(gradients[0], saved[0], gain)
                 : WeightGradient3x3::apply(saved[0], gradients[0], gain);
  return {dx, dw, torch::Tensor(), torch::Tensor()};
}

}  // namespace

bool winograd_suits(const torch::Tensor& x, const torch::Tensor& weight) {
  const int64_t least = std::min(weight.size(0), weight.size(1)),
                most = std::max(weight.size(0), weight.size(1));
  const bool sizes = weight.size(2) == 3 && weight.size(3) == 3 && weight.size(0) % 16 == 0 &&
                     weight.size(1) % 16 == 0 && least >= 64;
  // Measured: below this the transform of the weights costs more than tiles save.
  const int64_t tiles = x.size(0) * ((x.size(2) + 3) / 4) * ((x.size(3) + 3) / 4);
  return x.is_cpu() && detail::is_stored_type(x.scalar_type()) && sizes && 2 * tiles >= most;
}

torch::Tensor winograd_conv3x3(const torch::Tensor& x, const torch::Tensor& weight, double gain) {
  SS_CHECK(x.dim() == 4 && weight.dim() == 4 && x.size(1) == weight.size(1), x.sizes(), " and ",
           weight.sizes());
  return Convolution3x3::apply(x, weight, gain, /*adjoint=*/false);
}

}  // namespace stylescope
