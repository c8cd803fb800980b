#include "stages/networks/resnet.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

#include <array>
#include <cmath>

namespace stylescope {
namespace {

torch::nn::Conv2d convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

// The pixels that a 1x1 convolution of this stride looks at.
torch::Tensor every(int64_t stride, const torch::Tensor& x) {
  using torch::indexing::Slice;
  const Slice step(torch::indexing::None, torch::indexing::None, stride);
  return x.index({Slice(), Slice(), step, step});
}

// In the type of x, whatever the weights are kept in.
torch::Tensor convolve(torch::nn::Conv2d& layer, const torch::Tensor& x) {
  const auto& weight = layer->weight;
  const int64_t padding = weight.size(2) / 2, stride = layer->options.stride()->front();
  // oneDNN's backward pass of a strided 1x1 convolution, channels last, writes past its memory
  // where there are fewer channels than in a vector (LibTorch 2.14.1; seen with fewer than eight on
  // AVX2, up to eight on AVX-512); the picked pixels are the same.
  const bool picked = weight.size(2) == 1 && stride > 1 && weight.size(1) < 16;
  return torch::conv2d(picked ? every(stride, x) : x, weight.to(x.scalar_type()), {},
                       picked ? 1 : stride, padding);
}

// Two 3x3 convolutions (depth 18 and 34), or 1x1, 3x3, 1x1 with four times the channels at the end
// (depth 50).
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(bool bottleneck, int64_t in, int64_t channels, int64_t stride) {
    const int64_t out = bottleneck ? 4 * channels : channels;
    if (bottleneck) {
      add(in, channels, 1, 1);
      add(channels, channels, 3, stride);
      add(channels, out, 1, 1);
    } else {
      add(in, channels, 3, stride);
      add(channels, channels, 3, 1);
    }
    if (stride != 1 || in != out) {
      shortcut_ = convolution(in, out, 1, stride);
      shortcut_norm_ = BatchNorm(out);
      register_module("downsample", torch::nn::Sequential(shortcut_, shortcut_norm_));
    }
  }

  torch::Tensor forward(const torch::Tensor& x) {
    auto y = x;
    for (size_t i = 0; i < convolutions_.size(); ++i) {
      y = norms_[i](convolve(convolutions_[i], y));
      if (i + 1 < convolutions_.size()) y = y.relu_();
    }
    return y.add_(shortcut_.is_empty() ? x : shortcut_norm_(convolve(shortcut_, x))).relu_();
  }

  BatchNorm& last_norm() { return norms_.back(); }

 private:
  void add(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
    const auto number = std::to_string(convolutions_.size() + 1);
    convolutions_.push_back(register_module("conv" + number, convolution(in, out, kernel, stride)));
    norms_.push_back(register_module("bn" + number, BatchNorm(out)));
  }

  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<BatchNorm> norms_;
  torch::nn::Conv2d shortcut_{nullptr};
  BatchNorm shortcut_norm_{nullptr};
};
TORCH_MODULE(Block);

std::array<int64_t, 4> blocks_per_layer(int64_t depth) {
  return depth == 18 ? std::array<int64_t, 4>{2, 2, 2, 2} : std::array<int64_t, 4>{3, 4, 6, 3};
}

void check(const ResNetOptions& options) {
  validate(options.depth == 18 || options.depth == 34 || options.depth == 50, "resnet: depth ",
           options.depth, " is not known; use 18, 34 or 50");
  validate(options.stem == "imagenet" || options.stem == "small", "resnet: stem '", options.stem,
           "' is not known; use imagenet or small");
  validate(options.input_channels > 0 && options.outputs > 0 && options.width > 0,
           "resnet: input_channels, outputs and width must be positive (", options.input_channels,
           ", ", options.outputs, ", ", options.width, ")");
}

// The convolutions of a CPU are fastest on channels-last images, and hand the layout on to the
// whole network. With one channel the two layouts are the same bytes, and only strides set by hand
// tell them apart.
torch::Tensor in_fast_layout(const torch::Tensor& x) {
  if (!x.device().is_cpu()) return x;
  return torch::empty(x.sizes(), x.options().memory_format(torch::MemoryFormat::ChannelsLast))
      .copy_(x);
}

}  // namespace

ResNetImpl::ResNetImpl(const ResNetOptions& options) : options_(options) {
  check(options);
  const bool small = options.stem == "small";
  const bool bottleneck = options.depth == 50;
  const auto counts = blocks_per_layer(options.depth);
  conv1_ = register_module(
      "conv1", convolution(options.input_channels, options.width, small ? 3 : 7, small ? 1 : 2));
  bn1_ = register_module("bn1", BatchNorm(options.width));
  int64_t in = options.width;
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t channels = options.width << i;
    torch::nn::Sequential layer;
    for (int64_t block = 0; block < counts[i]; ++block) {
      layer->push_back(Block(bottleneck, in, channels, block == 0 && i > 0 ? 2 : 1));
      in = bottleneck ? 4 * channels : channels;
    }
    layers_.push_back(register_module("layer" + std::to_string(i + 1), layer));
  }
  fc_ = register_module("fc", torch::nn::Linear(in, options.outputs));
}

torch::Tensor ResNetImpl::stem(const torch::Tensor& x) {
  const bool narrow = is_training() && training_type_ != torch::kFloat32;
  const auto fast = in_fast_layout(narrow ? x.to(training_type_) : x);
  auto y = bn1_(convolve(conv1_, fast)).relu_();
  return options_.stem == "small" ? y : torch::max_pool2d(y, 3, 2, 1);
}

torch::Tensor ResNetImpl::layer(int64_t index, const torch::Tensor& x) {
  return layers_.at(static_cast<size_t>(index - 1))->forward(x);
}

torch::Tensor ResNetImpl::features(const torch::Tensor& x) {
  auto y = stem(x);
  for (int64_t i = 1; i <= 4; ++i) y = layer(i, y);
  return y;
}

torch::Tensor ResNetImpl::head(const torch::Tensor& features) {
  return fc_(features.mean({2, 3}, false, fc_->weight.scalar_type()));
}

torch::Tensor ResNetImpl::forward(const torch::Tensor& x) { return head(features(x)); }

int64_t ResNetImpl::feature_channels() const { return fc_->options.in_features(); }

std::vector<BatchNorm> ResNetImpl::batch_norms() {
  std::vector<BatchNorm> norms;
  for (const auto& module : modules(false)) {
    if (auto norm = std::dynamic_pointer_cast<BatchNormImpl>(module)) norms.emplace_back(norm);
  }
  return norms;
}

void initialize(ResNet& network, uint64_t seed, bool zero_init_residual) {
  torch::NoGradGuard no_grad;
  int64_t index = 0;
  for (auto& item : network->named_parameters()) {
    auto& parameter = item.value();
    const bool weight = item.key().ends_with("weight");
    auto generator = keyed_generator({seed, "resnet.initialize"}, index++);
    auto drawn = torch::empty(parameter.sizes(), torch::kDouble);
    if (parameter.dim() == 4) {
      const double fan_out = static_cast<double>(parameter.numel() / parameter.size(1));
      drawn.normal_(0, std::sqrt(2 / fan_out), generator);
    } else if (item.key().starts_with("fc.")) {
      const double bound = 1 / std::sqrt(static_cast<double>(network->feature_channels()));
      drawn.uniform_(-bound, bound, generator);
    } else {
      drawn.fill_(weight ? 1 : 0);
    }
    parameter.copy_(drawn);
  }
  for (auto& norm : network->batch_norms()) {
    norm->running_mean.zero_();
    norm->running_var.fill_(1);
    norm->num_batches_tracked.zero_();
  }
  if (!zero_init_residual) return;
  for (const auto& module : network->modules(false)) {
    if (auto block = std::dynamic_pointer_cast<BlockImpl>(module))
      block->last_norm()->weight.zero_();
  }
}

void update_running_statistics(ResNet& network, int64_t groups_seen_here,
                               const std::function<void(torch::Tensor&)>& reduce) {
  torch::NoGradGuard no_grad;
  auto norms = network->batch_norms();
  const auto options = torch::dtype(torch::kDouble).device(norms.front()->running_mean.device());
  std::vector<torch::Tensor> parts;
  for (auto& norm : norms) {
    SS_CHECK(norm->mean_sum.defined() == (groups_seen_here > 0), groups_seen_here, " groups");
    for (const auto& sum : {norm->mean_sum, norm->var_sum}) {
      parts.push_back(sum.defined() ? sum : torch::zeros({norm->running_mean.numel()}, options));
    }
  }
  parts.push_back(torch::full({1}, static_cast<double>(groups_seen_here), options));
  auto sums = torch::cat(parts);
  reduce(sums);
  SS_CHECK(sums[-1].item<double>() > 0, "no rank saw a group");
  sums.div_(sums[-1].clone());
  int64_t offset = 0;
  for (auto& norm : norms) {
    const int64_t channels = norm->running_mean.numel();
    norm->fold(sums.narrow(0, offset, channels), sums.narrow(0, offset + channels, channels));
    offset += 2 * channels;
  }
}

}  // namespace stylescope
