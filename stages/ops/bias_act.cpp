#include "stages/ops/bias_act.hpp"

#include "io/base/error.hpp"
#include "stages/ops/bias_act_gradient.hpp"
#include "stages/ops/bias_act_kernel.hpp"
#include "stages/ops/channel_kernel.hpp"
#include "stages/ops/cuda_kernels.hpp"
#include "stages/ops/storage_type.hpp"

#include <cmath>
#include <vector>

#include <torch/torch.h>

namespace stylescope {
namespace {

using detail::BiasActArguments;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void save(AutogradContext* context, const BiasActArguments& a) {
  context->saved_data["arguments"] = std::vector<double>{a.slope, a.gain, a.clamp};
}

BiasActArguments saved(AutogradContext* context) {
  const auto v = context->saved_data["arguments"].toDoubleVector();
  return {v[0], v[1], v[2]};
}

// gradient * m(y), m piecewise constant: linear in the gradient, and its own derivative.
class BiasActGradient : public torch::autograd::Function<BiasActGradient> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& gradient,
                               const torch::Tensor& y, const BiasActArguments& arguments) {
    context->save_for_backward({y});
    save(context, arguments);
    if (y.is_cuda())
      return detail::bias_act_gradient_by(*detail::cuda_kernel_table(), gradient, y, arguments);
    return detail::bias_act_gradient_cpu(gradient, y, arguments);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto y = context->get_saved_variables()[0];
    return {BiasActGradient::apply(gradients[0], y.detach(), saved(context)), torch::Tensor(),
            torch::Tensor()};
  }
};

// bias: empty if there is none (a Function takes no undefined tensors).
class BiasAct : public torch::autograd::Function<BiasAct> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& bias, const BiasActArguments& arguments) {
    const bool biased = bias.numel() > 0;
    const auto b = biased ? bias : torch::Tensor();
    auto y = x.is_cuda() ? detail::bias_act_by(*detail::cuda_kernel_table(), x,
                                               biased ? b.to(x.scalar_type()) : b, arguments)
                         : detail::bias_act_cpu(x, b, arguments);
    context->save_for_backward({arguments.masked() ? y : torch::Tensor()});
    context->saved_data["bias"] = biased;
    save(context, arguments);
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto arguments = saved(context);
    torch::Tensor dx = gradients[0], db;
    const bool biased = context->saved_data["bias"].toBool() && context->needs_input_grad(1);
    if (arguments.masked() && biased && !at::GradMode::is_enabled()) {
      // The mask and its sum over pixels in one pass, where the pixels lie channel by channel.
      const auto y = context->get_saved_variables()[0];
      if (detail::is_channel_image(y)) {
        auto found = detail::channel_gradients_cpu(
            {.gradient = dx, .result = y, .bias = true, .arguments = arguments});
        return {found.image, found.bias, torch::Tensor()};
      }
    }
    if (arguments.masked())
      dx = BiasActGradient::apply(dx, context->get_saved_variables()[0].detach(), arguments);
    else if (arguments.gain != 1)
      dx = dx * arguments.gain;
    if (biased) {
      std::vector<int64_t> others;
      for (int64_t d = 0; d < dx.dim(); ++d)
        if (d != 1) others.push_back(d);
      db = dx.sum(others);
    }
    return {dx, db, torch::Tensor()};
  }
};

torch::Tensor activate(const torch::Tensor& x, Activation act, double alpha) {
  switch (act) {
    case Activation::linear:
      return x;
    case Activation::relu:
      return torch::relu(x);
    case Activation::lrelu:
      return torch::leaky_relu(x, alpha);
    case Activation::tanh:
      return torch::tanh(x);
    case Activation::sigmoid:
      return torch::sigmoid(x);
    case Activation::elu:
      return torch::elu(x);
    case Activation::selu:
      return torch::selu(x);
    case Activation::softplus:
      return torch::softplus(x);
    case Activation::swish:
      return x * torch::sigmoid(x);
  }
  SS_CHECK(false, "unknown activation");
}

}  // namespace

torch::Tensor detail::bias_act_gradient(const torch::Tensor& gradient, const torch::Tensor& y,
                                        const BiasActArguments& arguments) {
  return BiasActGradient::apply(gradient, y, arguments);
}

double default_gain(Activation act) {
  const bool root_two =
      act == Activation::relu || act == Activation::lrelu || act == Activation::swish;
  return root_two ? std::sqrt(2.0) : 1.0;
}

torch::Tensor bias_act_plain(const torch::Tensor& x, const torch::Tensor& bias, Activation act,
                             double gain, double clamp, double alpha) {
  if (gain < 0) gain = default_gain(act);
  auto y = x;
  if (bias.defined()) {
    std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
    shape[1] = bias.numel();
    y = y + bias.to(x.scalar_type()).reshape(shape);
  }
  y = activate(y, act, alpha);
  if (gain != 1) y = y * gain;
  return clamp > 0 ? y.clamp(-clamp, clamp) : y;
}

torch::Tensor bias_act(const torch::Tensor& x, const torch::Tensor& bias, Activation act,
                       double gain, double clamp, double alpha) {
  SS_CHECK(x.dim() >= 2 && x.is_floating_point(), x.sizes());
  SS_CHECK(!bias.defined() || (bias.dim() == 1 && bias.size(0) == x.size(1)));
  if (gain < 0) gain = default_gain(act);
  const bool fused = (act == Activation::linear || act == Activation::lrelu) && gain > 0 &&
                     alpha > 0 &&
                     ((x.is_cpu() && detail::is_stored_type(x.scalar_type())) ||
                      detail::cuda_kernel_usable(detail::CudaKernel::bias_act, x));
  if (!fused) return bias_act_plain(x, bias, act, gain, clamp, alpha);
  const auto dense = x.contiguous(x.suggest_memory_format());
  return BiasAct::apply(
      dense,
      bias.defined() ? bias.contiguous() : torch::empty({0}, x.options().requires_grad(false)),
      BiasActArguments{act == Activation::linear ? 1.0 : alpha, gain, clamp});
}

}  // namespace stylescope
