#include "stages/ops/scaled_act.hpp"

#include "io/base/error.hpp"
#include "stages/ops/bias_act_gradient.hpp"
#include "stages/ops/channel_kernel.hpp"

#include <vector>

#include <torch/torch.h>

namespace stylescope {
namespace {

using detail::BiasActArguments;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class ScaleChannels : public torch::autograd::Function<ScaleChannels> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& scale) {
    context->save_for_backward({x, scale});
    return detail::scale_channels_cpu(x, scale);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients);
};

// Sum over pixels of a * b: [N,C]. With ScaleChannels it closes the circle of derivatives.
class ChannelProducts : public torch::autograd::Function<ChannelProducts> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& a,
                               const torch::Tensor& b) {
    context->save_for_backward({a, b});
    detail::ChannelGradientInputs in;
    in.gradient = a;
    in.x = b;
    in.image = false;
    return detail::channel_gradients_cpu(in).scale;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    torch::Tensor da, db;
    if (context->needs_input_grad(0)) da = scale_channels(saved[1], gradients[0]);
    if (context->needs_input_grad(1)) db = scale_channels(saved[0], gradients[0]);
    return {da, db};
  }
};

torch::Tensor channel_products(const torch::Tensor& a, const torch::Tensor& b) {
  if (detail::is_channel_image(b)) return ChannelProducts::apply(a, b);
  return (a * b).sum({2, 3});
}

variable_list ScaleChannels::backward(AutogradContext* context, variable_list gradients) {
  const auto saved = context->get_saved_variables();
  const auto &x = saved[0], &scale = saved[1];
  const bool to_x = context->needs_input_grad(0), to_scale = context->needs_input_grad(1);
  torch::Tensor dx, ds;
  if (at::GradMode::is_enabled() || !to_x || !to_scale) {
    if (to_x) dx = scale_channels(gradients[0], scale);
    if (to_scale) ds = channel_products(gradients[0], x).to(scale.scalar_type());
    return {dx, ds};
  }
  detail::ChannelGradientInputs in;
  in.gradient = gradients[0];
  in.x = x;
  in.scale = scale;
  const auto found = detail::channel_gradients_cpu(in);
  return {found.image, found.scale.to(scale.scalar_type())};
}

// noise and strength: empty if there is none (a Function takes no undefined tensors).
class ScaledAct : public torch::autograd::Function<ScaledAct> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& scale, const torch::Tensor& noise,
                               const torch::Tensor& strength, const torch::Tensor& bias,
                               double clamp) {
    const BiasActArguments arguments{0.2, default_gain(Activation::lrelu), clamp};
    const bool noisy = noise.numel() > 0;
    auto y = detail::scaled_act_cpu(x, scale, noisy ? noise : torch::Tensor(), strength, bias,
                                    arguments);
    context->save_for_backward({x, scale, noise, y});
    context->saved_data["arguments"] =
        std::vector<double>{arguments.slope, arguments.gain, arguments.clamp};
    context->saved_data["type"] = static_cast<int64_t>(bias.scalar_type());
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &scale = saved[1];
    const auto y = saved[3].detach();
    const auto noise = saved[2].numel() > 0 ? saved[2] : torch::Tensor();
    const auto v = context->saved_data["arguments"].toDoubleVector();
    const auto type = static_cast<torch::Dtype>(context->saved_data["type"].toInt());
    const BiasActArguments arguments{v[0], v[1], v[2]};
    detail::ChannelGradients found;
    if (at::GradMode::is_enabled()) {
      const auto m = detail::bias_act_gradient(gradients[0], y, arguments);
      found = {scale_channels(m, scale), channel_products(m, x), m.sum({0, 2, 3}), {}};
      if (noise.defined()) found.strength = (m.sum(1, true) * noise).sum();
    } else {
      found = detail::channel_gradients_cpu(
          {gradients[0], y, x, scale, noise, /*image=*/true, /*bias=*/true, arguments});
    }
    if (noise.defined()) found.strength = found.strength.to(type);
    return {found.image,         found.scale.to(scale.scalar_type()),
            torch::Tensor(),     found.strength,
            found.bias.to(type), torch::Tensor()};
  }
};

torch::Tensor scaled_act_plain(const torch::Tensor& x, const torch::Tensor& scale,
                               const PixelNoise& noise, const torch::Tensor& bias, double clamp) {
  const auto type = x.scalar_type();
  auto y = x * scale.to(type).reshape({x.size(0), x.size(1), 1, 1});
  if (noise.image.defined()) y = y + (noise.image * noise.strength).to(type);
  return bias_act(y, bias.to(type), Activation::lrelu, -1, clamp);
}

}  // namespace

torch::Tensor scale_channels(const torch::Tensor& x, const torch::Tensor& scale) {
  SS_CHECK(
      x.dim() == 4 && scale.dim() == 2 && scale.size(0) == x.size(0) && scale.size(1) == x.size(1),
      x.sizes(), " and ", scale.sizes());
  if (detail::is_channel_image(x)) return ScaleChannels::apply(x, scale);
  return x * scale.to(x.scalar_type()).reshape({x.size(0), x.size(1), 1, 1});
}

torch::Tensor scaled_act(const torch::Tensor& x, const torch::Tensor& scale,
                         const PixelNoise& noise, const torch::Tensor& bias, double clamp) {
  SS_CHECK(x.dim() == 4 && scale.dim() == 2 && scale.size(0) == x.size(0) &&
               scale.size(1) == x.size(1) && bias.numel() == x.size(1),
           x.sizes(), ", ", scale.sizes(), " and ", bias.sizes());
  if (!detail::is_channel_image(x)) return scaled_act_plain(x, scale, noise, bias, clamp);
  const bool noisy = noise.image.defined();
  const auto none = torch::empty({0}, scale.options().requires_grad(false));
  return ScaledAct::apply(x, scale, noisy ? noise.image : none, noisy ? noise.strength : none, bias,
                          clamp);
}

}  // namespace stylescope
