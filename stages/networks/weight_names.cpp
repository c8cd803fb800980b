#include "stages/networks/weight_names.hpp"

#include "io/base/error.hpp"
#include "stages/networks/layers.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace stylescope {
namespace {

// Blocks of torchvision's ResNets by the number of those in layer 3.
struct Depth {
  int64_t depth;
  bool bottleneck;
  int64_t third;
};
constexpr std::array<Depth, 5> kDepths{
    {{18, false, 2}, {34, false, 6}, {50, true, 6}, {101, true, 23}, {152, true, 36}}};

const torch::Tensor& tensor(const TensorFile& content, const std::string& name, int64_t dim,
                            const std::string& file) {
  validate(content.contains(name), file, ": the tensor ", name,
           " is missing (ResNets have it under torchvision's names); is this the file of such a "
           "network?");
  const auto& found = content.at(name);
  validate(found.dim() == dim, file, ": the tensor ", name, " has the shape ", found.sizes(), " (",
           dim, " dimensions are expected); export the weights again");
  return found;
}

int64_t depth_of(const TensorFile& content, const std::string& file) {
  const bool bottleneck = content.contains("layer1.0.conv3.weight");
  int64_t third = 0;
  while (content.contains("layer3." + std::to_string(third) + ".conv1.weight")) ++third;
  const auto* found = std::ranges::find_if(
      kDepths, [&](const Depth& d) { return d.bottleneck == bottleneck && d.third == third; });
  const std::string ours = "stylescope has ResNets of 18, 34 and 50 layers";
  validate(found != kDepths.end(), file, ": has ", third,
           " blocks in layer3 (no ResNet of torchvision has so many); ", ours);
  validate(found->depth <= 50, file, ": is a ResNet of ", found->depth, " layers; ", ours,
           ". As TorchScript it can be a classifier all the same");
  return found->depth;
}

// Counts are reals: those of nonsense do not fit into 64 bits.
void check_numbers(double needed, const TensorFile& content, const std::string& file) {
  double there = 0;
  for (const auto& [name, tensor] : content.tensors) {
    validate(tensor.numel() > 0, file, ": the tensor ", name, " has the shape ", tensor.sizes(),
             " and holds nothing (the file is damaged); export the weights again");
    there += static_cast<double>(tensor.numel());
  }
  // What is only a little too small is told by the name of the tensor.
  validate(needed <= 2 * there + 1e6, file, ": is of a network of at least ", needed,
           " numbers, by the shapes and metadata that it has, and holds ", there,
           " (they do not fit one another); export the weights again");
}

double square(double value) { return value * value; }

template <class Options>
double width_at(const Options& o, int64_t resolution) {
  return static_cast<double>(channels_at(resolution, o.channel_base, o.channel_max));
}

double mapping_numbers(int64_t z_dim, int64_t c_dim, int64_t w_dim, int64_t layers) {
  const auto z = static_cast<double>(z_dim), c = static_cast<double>(c_dim),
             w = static_cast<double>(w_dim), n = static_cast<double>(layers);
  return w * (z + c) + square(w) * (n - 1);
}

}  // namespace

// Each counts a part of the weights, and in it the largest ones of every kind.
void check_enough(const ResNetOptions& o, const TensorFile& content, const std::string& file) {
  const auto width = static_cast<double>(o.width);
  const double kernel = o.stem == "imagenet" ? 7 : 3, last = 8 * width;
  check_numbers(square(kernel) * width * static_cast<double>(o.input_channels) + 9 * square(last) +
                    static_cast<double>(o.outputs) * last * (o.depth >= 50 ? 4 : 1),
                content, file);
}

void check_enough(const GeneratorOptions& o, const TensorFile& content, const std::string& file) {
  double needed = mapping_numbers(o.z_dim, o.c_dim, o.w_dim, o.mapping_layers);
  for (int64_t r = 4; r <= o.resolution; r *= 2) {
    const double here = width_at(o, r);
    needed += 9 * square(here) + here * static_cast<double>(o.w_dim + o.image_channels);
    if (r > 4) needed += 9 * here * width_at(o, r / 2);
  }
  check_numbers(needed, content, file);
}

void check_enough(const DiscriminatorOptions& o, const TensorFile& content,
                  const std::string& file) {
  const double last = width_at(o, 4);
  double needed =
      (9 + 16) * square(last) + static_cast<double>(o.image_channels) * width_at(o, o.resolution);
  if (o.c_dim > 0)
    needed += mapping_numbers(0, o.c_dim, static_cast<int64_t>(last), o.mapping_layers);
  for (int64_t r = 8; r <= o.resolution; r *= 2)
    needed += 9 * width_at(o, r) * (width_at(o, r) + width_at(o, r / 2));
  check_numbers(needed, content, file);
}

std::string network_kind(const TensorFile& content) {
  const auto kind = content.metadata.find("kind");
  if (kind != content.metadata.end() && (kind->second == "classifier" || kind->second == "encoder"))
    return kind->second;
  if (content.contains("synthesis.b4.conv1.weight")) return "generator";
  if (content.contains("b4.conv.weight") && content.contains("b4.out.weight"))
    return "discriminator";
  if (content.contains("conv1.weight") && content.contains("layer1.0.conv1.weight"))
    return "resnet";
  return "";
}

ResNetOptions resnet_options(const TensorFile& content, const std::string& file) {
  const auto& first = tensor(content, "conv1.weight", 4, file);
  const auto& head = tensor(content, "fc.weight", 2, file);
  validate(first.size(2) == 7 || first.size(2) == 3, file, ": its first convolution is ",
           first.size(2), "x", first.size(3),
           " (stylescope's ResNets have one of 7x7, or the small stem's 3x3); give such a network");
  ResNetOptions options;
  options.stem = first.size(2) == 7 ? "imagenet" : "small";
  options.depth = depth_of(content, file);
  options.width = first.size(0);
  options.input_channels = first.size(1);
  options.outputs = head.size(0);
  return options;
}

torch::Dtype weights_dtype(const TensorFile& content) {
  const bool full = std::ranges::any_of(content.tensors, [](const auto& named) {
    return named.second.scalar_type() == torch::kFloat64;
  });
  return full ? torch::kFloat64 : torch::kFloat32;
}

int64_t parameter_count(const TensorFile& content) {
  static constexpr std::array<std::string_view, 8> kBuffers{
      "running_mean",    "running_var", "num_batches_tracked",
      "resample_filter", "noise_const", "mapping.w_avg",
      "w_mean",          "w_scale"};
  int64_t count = 0;
  for (const auto& named : content.tensors)
    if (std::ranges::none_of(kBuffers, [&](auto end) { return named.first.ends_with(end); }))
      count += named.second.numel();
  return count;
}

}  // namespace stylescope
