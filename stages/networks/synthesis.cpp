#include "stages/networks/synthesis.hpp"

#include "io/base/error.hpp"
#include "stages/ops/modulated_conv2d.hpp"
#include "stages/ops/scaled_act.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <cmath>
#include <string>

namespace stylescope {

torch::Tensor NoiseFeed::next(const torch::Tensor& constant) {
  if (noise_.mode == Noise::Mode::none) return {};
  if (noise_.mode == Noise::Mode::constant) return constant;
  const auto& given = noise_.given;
  const auto part = given.narrow(1, position_, constant.numel());
  position_ += constant.numel();
  return part.reshape({given.size(0), 1, constant.size(0), constant.size(1)});
}

SynthesisLayerImpl::SynthesisLayerImpl(int64_t in, int64_t out, const GeneratorOptions& options,
                                       int64_t resolution, int64_t up)
    : up_(up), clamp_(options.clamp), operations_(options.numerics.operations) {
  weight = register_parameter("weight", torch::zeros({out, in, 3, 3}));
  noise_strength = register_parameter("noise_strength", torch::zeros({}));
  bias = register_parameter("bias", torch::zeros({out}));
  resample_filter = register_buffer("resample_filter", default_filter());
  noise_const = register_buffer("noise_const", torch::zeros({resolution, resolution}));
  affine_ = register_module("affine",
                            FullyConnected(options.w_dim, in, Activation::linear, 1, operations_));
}

torch::Tensor SynthesisLayerImpl::forward(const torch::Tensor& x, const torch::Tensor& w,
                                          NoiseFeed& feed) {
  const auto noise = feed.next(noise_const);
  auto styles = affine_(w);
  auto weights = weight;
  if (x.scalar_type() != weight.scalar_type()) {
    // Against overflow in half types (StyleGAN2-ADA): demodulation cancels both factors, so that
    // they are constants to the gradient, too.
    weights = weight / (weight.detach().abs().amax({1, 2, 3}, true) *
                        std::sqrt(static_cast<double>(weight[0].numel())));
    styles = styles / styles.detach().abs().amax(1, true);
  }
  const double clamp = clamp_ > 0 ? clamp_ : -1;
  if (operations_ == Operations::reference) {
    const auto added = noise.defined() ? noise * noise_strength : noise;
    const auto y = modulated_conv2d_plain(x, weights, styles, added, up_, resample_filter,
                                          /*demodulate=*/true, /*grouped=*/!is_training());
    return bias_act_plain(y, bias, Activation::lrelu, -1, clamp);
  }
  const auto y = scaled_conv2d(x, weights, styles, up_, resample_filter);
  return scaled_act(y, demodulation(weights, styles), {noise, noise_strength}, bias, clamp);
}

ToRgbImpl::ToRgbImpl(int64_t in, const GeneratorOptions& options)
    : style_gain_(1 / std::sqrt(static_cast<double>(in))),
      clamp_(options.clamp),
      operations_(options.numerics.operations) {
  weight = register_parameter("weight", torch::zeros({options.image_channels, in, 1, 1}));
  bias = register_parameter("bias", torch::zeros({options.image_channels}));
  affine_ = register_module("affine",
                            FullyConnected(options.w_dim, in, Activation::linear, 1, operations_));
}

torch::Tensor ToRgbImpl::convolve(const torch::Tensor& x, const torch::Tensor& styles) const {
  // With one or three output channels, a weight per sample costs less than scaling all features by
  // the styles. The product runs over pixels in the order in which they lie in memory, so that the
  // gradient in x, too, comes in x's layout.
  const auto weights =
      (weight.flatten(1).unsqueeze(0) * styles.unsqueeze(1)).to(x.scalar_type());  // (N, C, in)
  const bool last = x.is_contiguous(at::MemoryFormat::ChannelsLast);
  const auto y = last ? torch::bmm(x.permute({0, 2, 3, 1}).flatten(1, 2), weights.transpose(1, 2))
                            .transpose(1, 2)
                      : torch::bmm(weights, x.flatten(2));
  return y.unflatten(2, {x.size(2), x.size(3)}).to(weight.scalar_type());
}

torch::Tensor ToRgbImpl::forward(const torch::Tensor& x, const torch::Tensor& w) {
  const auto styles = affine_(w) * style_gain_;  // (N, in)
  const double clamp = clamp_ > 0 ? clamp_ : -1;
  if (operations_ == Operations::reference) {
    const auto y = modulated_conv2d_plain(x, weight, styles, {}, 1, {}, /*demodulate=*/false,
                                          /*grouped=*/!is_training());
    return bias_act_plain(y.to(weight.scalar_type()), bias, Activation::linear, 1, clamp);
  }
  return bias_act(convolve(x, styles), bias, Activation::linear, 1, clamp);
}

SynthesisBlockImpl::SynthesisBlockImpl(const GeneratorOptions& options, int64_t resolution)
    : numerics_(options.numerics), resolution_(resolution), highest_(options.resolution) {
  const auto channels = [&](int64_t r) {
    return channels_at(r, options.channel_base, options.channel_max);
  };
  const auto out = channels(resolution);
  const bool first = resolution == 4;
  first_w_ = first ? 0 : static_cast<size_t>(2 * std::lround(std::log2(resolution)) - 5);
  if (first) constant = register_parameter("const", torch::zeros({out, 4, 4}));
  resample_filter = register_buffer("resample_filter", default_filter());
  if (!first)
    conv0_ = register_module("conv0",
                             SynthesisLayer(channels(resolution / 2), out, options, resolution, 2));
  conv1_ = register_module("conv1", SynthesisLayer(out, out, options, resolution, 1));
  torgb_ = register_module("torgb", ToRgb(out, options));
}

void SynthesisBlockImpl::forward(torch::Tensor& x, torch::Tensor& image,
                                 const std::vector<torch::Tensor>& ws, NoiseFeed& noise) {
  size_t next = first_w_;
  if (conv0_.is_empty())
    x = layout_for(numerics_.operations, constant.unsqueeze(0).expand({ws[0].size(0), -1, -1, -1}));
  else
    x = conv0_(x.to(numerics_.features(resolution_, highest_, conv0_->weight.scalar_type())),
               ws[next++], noise);
  x = conv1_(x, ws[next++], noise);
  const auto rgb = torgb_(x, ws[next]);
  if (!image.defined())
    image = rgb;
  else if (numerics_.reference())
    image = upfirdn2d_plain(image, resample_filter, 2, 1, {2, 1, 2, 1}, false, 4) + rgb;
  else
    image = upsample2d(image, resample_filter) + rgb;
}

SynthesisNetworkImpl::SynthesisNetworkImpl(const GeneratorOptions& options) {
  for (int64_t r = 4; r <= options.resolution; r *= 2)
    blocks_.push_back(register_module(block_name(r), SynthesisBlock(options, r)));
}

torch::Tensor SynthesisNetworkImpl::forward(const torch::Tensor& ws, const Noise& noise) {
  NoiseFeed feed(noise);
  const auto latents = ws.unbind(1);
  torch::Tensor x, image;
  for (auto& block : blocks_) block->forward(x, image, latents, feed);
  return image;
}

}  // namespace stylescope
