#include "stages/networks/discriminator.hpp"

#include "io/base/error.hpp"
#include "stages/networks/layers.hpp"
#include "stages/networks/mapping.hpp"
#include "stages/networks/state.hpp"
#include "stages/ops/minibatch_stddev.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <cmath>

namespace stylescope {

DiscriminatorBlockImpl::DiscriminatorBlockImpl(const DiscriminatorOptions& options,
                                               int64_t resolution)
    : numerics_(options.numerics), resolution_(resolution), highest_(options.resolution) {
  const auto in = channels_at(resolution, options.channel_base, options.channel_max);
  const auto out = channels_at(resolution / 2, options.channel_base, options.channel_max);
  const auto lrelu = Activation::lrelu;
  const auto operations = options.numerics.operations;
  register_buffer("resample_filter", default_filter());
  if (resolution == options.resolution)
    fromrgb_ =
        register_module("fromrgb", Convolution(ConvolutionOptions{.in = options.image_channels,
                                                                  .out = in,
                                                                  .kernel = 1,
                                                                  .activation = lrelu,
                                                                  .clamp = options.clamp,
                                                                  .operations = operations}));
  conv0_ = register_module("conv0", Convolution(ConvolutionOptions{.in = in,
                                                                   .out = in,
                                                                   .activation = lrelu,
                                                                   .clamp = options.clamp,
                                                                   .operations = operations}));
  conv1_ = register_module("conv1", Convolution(ConvolutionOptions{.in = in,
                                                                   .out = out,
                                                                   .activation = lrelu,
                                                                   .down = 2,
                                                                   .clamp = options.clamp,
                                                                   .operations = operations}));
  if (!options.residual) return;
  skip_ = register_module(
      "skip",
      Convolution(ConvolutionOptions{
          .in = in, .out = out, .kernel = 1, .bias = false, .down = 2, .operations = operations}));
}

torch::Tensor DiscriminatorBlockImpl::forward(const torch::Tensor& input) {
  const double half = std::sqrt(0.5);
  auto x = input.to(numerics_.features(resolution_, highest_, conv0_->weight.scalar_type()));
  if (!fromrgb_.is_empty()) x = fromrgb_(x);
  if (skip_.is_empty()) return conv1_(conv0_(x));
  const auto y = skip_(x, half);
  return y + conv1_(conv0_(x), half);
}

DiscriminatorEpilogueImpl::DiscriminatorEpilogueImpl(const DiscriminatorOptions& options)
    : group_(options.mbstd_group), operations_(options.numerics.operations) {
  const auto channels = channels_at(4, options.channel_base, options.channel_max);
  conv_ = register_module("conv", Convolution(ConvolutionOptions{.in = channels + 1,
                                                                 .out = channels,
                                                                 .activation = Activation::lrelu,
                                                                 .clamp = options.clamp,
                                                                 .operations = operations_}));
  fc_ = register_module("fc",
                        FullyConnected(channels * 16, channels, Activation::lrelu, 1, operations_));
  out_ = register_module("out", FullyConnected(channels, options.c_dim > 0 ? channels : 1,
                                               Activation::linear, 1, operations_));
}

torch::Tensor DiscriminatorEpilogueImpl::forward(const torch::Tensor& x,
                                                 const torch::Tensor& label) {
  const auto features = x.to(conv_->weight.scalar_type());
  auto y = conv_(layout_for(operations_, minibatch_stddev(features, group_)));
  y = out_(fc_(y.flatten(1)));
  if (!label.defined()) return y;
  return (y * label).sum(1, /*keepdim=*/true) * (1 / std::sqrt(static_cast<double>(label.size(1))));
}

DiscriminatorImpl::DiscriminatorImpl(const DiscriminatorOptions& options) : options_(options) {
  validate_resolution(options.resolution);
  validate(channels_at(options.resolution, options.channel_base, options.channel_max) > 0,
           "channel_base ", options.channel_base, ": leaves no channel at resolution ",
           options.resolution, "; raise it");
  for (int64_t r = options.resolution; r > 4; r /= 2)
    blocks_.push_back(register_module(block_name(r), DiscriminatorBlock(options, r)));
  if (options.c_dim > 0) {
    const auto channels = channels_at(4, options.channel_base, options.channel_max);
    mapping_ = register_module("mapping", std::make_shared<MappingNetworkImpl>(
                                              0, options.c_dim, channels, options.mapping_layers,
                                              options.numerics.operations));
  }
  epilogue_ = register_module("b4", DiscriminatorEpilogue(options));
}

torch::Tensor DiscriminatorImpl::forward(const torch::Tensor& images, const torch::Tensor& c) {
  SS_CHECK(images.dim() == 4 && images.size(1) == options_.image_channels &&
               images.size(2) == options_.resolution && images.size(3) == options_.resolution,
           "images have the shape ", images.sizes());
  SS_CHECK(c.defined() == (options_.c_dim > 0),
           "labels are for conditional networks, and needed there");
  auto x = layout_for(options_.numerics.operations, images);
  for (auto& block : blocks_) x = block(x);
  return epilogue_(x, mapping_ ? mapping_->forward({}, c) : torch::Tensor());
}

void initialize(Discriminator& discriminator, uint64_t seed) {
  initialize_weights(*discriminator, seed, "networks.D.");
}

}  // namespace stylescope
