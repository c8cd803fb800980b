#include "stages/networks/synthesis.hpp"

#include "io/base/error.hpp"
#include "stages/ops/modulated_conv2d.hpp"
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

SynthesisLayerImpl::SynthesisLayerImpl(int64_t in, int64_t out, int64_t w_dim, int64_t resolution,
                                       int64_t up, double clamp)
    : up_(up), clamp_(clamp) {
  weight = register_parameter("weight", torch::zeros({out, in, 3, 3}));
  noise_strength = register_parameter("noise_strength", torch::zeros({}));
  bias = register_parameter("bias", torch::zeros({out}));
  resample_filter = register_buffer("resample_filter", default_filter());
  noise_const = register_buffer("noise_const", torch::zeros({resolution, resolution}));
  affine_ = register_module("affine", FullyConnected(w_dim, in));
}

torch::Tensor SynthesisLayerImpl::forward(const torch::Tensor& x, const torch::Tensor& w,
                                          NoiseFeed& feed) {
  auto noise = feed.next(noise_const);
  if (noise.defined()) noise = noise * noise_strength;
  const auto y =
      modulated_conv2d(x, weight, affine_(w), noise, up_, resample_filter, /*demodulate=*/true);
  return bias_act(y, bias, Activation::lrelu, -1, clamp_ > 0 ? clamp_ : -1);
}

ToRgbImpl::ToRgbImpl(int64_t in, int64_t image_channels, int64_t w_dim, double clamp)
    : style_gain_(1 / std::sqrt(static_cast<double>(in))), clamp_(clamp) {
  weight = register_parameter("weight", torch::zeros({image_channels, in, 1, 1}));
  bias = register_parameter("bias", torch::zeros({image_channels}));
  affine_ = register_module("affine", FullyConnected(w_dim, in));
}

torch::Tensor ToRgbImpl::forward(const torch::Tensor& x, const torch::Tensor& w) {
  // With one or three output channels, a weight per sample costs less than scaling all features by
  // the styles. The product runs over pixels in the order in which they lie in memory, so that the
  // gradient in x, too, comes in x's layout.
  const auto styles = affine_(w) * style_gain_;                               // (N, in)
  const auto weights = weight.flatten(1).unsqueeze(0) * styles.unsqueeze(1);  // (N, C, in)
  const bool last = x.is_contiguous(at::MemoryFormat::ChannelsLast);
  const auto y = last ? torch::bmm(x.permute({0, 2, 3, 1}).flatten(1, 2), weights.transpose(1, 2))
                            .transpose(1, 2)
                      : torch::bmm(weights, x.flatten(2));
  return bias_act(y.unflatten(2, {x.size(2), x.size(3)}), bias, Activation::linear, 1,
                  clamp_ > 0 ? clamp_ : -1);
}

SynthesisBlockImpl::SynthesisBlockImpl(const GeneratorOptions& options, int64_t resolution) {
  const auto channels = [&](int64_t r) {
    return channels_at(r, options.channel_base, options.channel_max);
  };
  const auto out = channels(resolution);
  const bool first = resolution == 4;
  first_w_ = first ? 0 : static_cast<size_t>(2 * std::lround(std::log2(resolution)) - 5);
  if (first) constant = register_parameter("const", torch::zeros({out, 4, 4}));
  resample_filter = register_buffer("resample_filter", default_filter());
  if (!first)
    conv0_ = register_module("conv0", SynthesisLayer(channels(resolution / 2), out, options.w_dim,
                                                     resolution, 2, options.clamp));
  conv1_ = register_module("conv1",
                           SynthesisLayer(out, out, options.w_dim, resolution, 1, options.clamp));
  torgb_ =
      register_module("torgb", ToRgb(out, options.image_channels, options.w_dim, options.clamp));
}

void SynthesisBlockImpl::forward(torch::Tensor& x, torch::Tensor& image,
                                 const std::vector<torch::Tensor>& ws, NoiseFeed& noise) {
  size_t next = first_w_;
  if (conv0_.is_empty())
    x = fastest_layout(constant.unsqueeze(0).expand({ws[0].size(0), -1, -1, -1}));
  else
    x = conv0_(x, ws[next++], noise);
  x = conv1_(x, ws[next++], noise);
  const auto rgb = torgb_(x, ws[next]);
  image = image.defined() ? upsample2d(image, resample_filter) + rgb : rgb;
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
