#include "stages/networks/encoder.hpp"

#include "io/base/error.hpp"
#include "stages/networks/network_files.hpp"
#include "stages/networks/resnet_io.hpp"

#include <algorithm>
#include <vector>

namespace stylescope {
namespace {

constexpr const char* kMean = "w_mean";
constexpr const char* kScale = "w_scale";

void check(const Encoder& encoder, const std::string& name) {
  const int64_t outputs = encoder.network->options().outputs;
  for (const auto& tensor : {encoder.w_mean, encoder.w_scale}) {
    validate(tensor.defined() && tensor.dim() == 1 && tensor.numel() == outputs, name,
             ": w_mean and w_scale must hold one number for each of the ", outputs, " outputs");
  }
  validate(encoder.resolution > 0, name, ": the resolution must be positive");
}

torch::Tensor standardisation(const TensorFile& content, const char* key, const std::string& file) {
  if (content.contains(key) || !content.metadata.contains(key)) return content.at(key);
  return torch::tensor(metadata_reals(content, file, key), torch::kDouble);
}

}  // namespace

torch::Tensor Encoder::prepare(const torch::Tensor& images) const {
  torch::NoGradGuard no_grad;
  return images.to(network->parameters().front().options()).div(127.5).sub_(1);
}

torch::Tensor Encoder::encode(const torch::Tensor& images, int64_t batch) {
  const auto output =
      evaluate_in_batches(network, images, resolution, batch,
                          [this](const torch::Tensor& part) { return prepare(part); });
  return w_mean.to(output.options()) + w_scale.to(output.options()) * output;
}

void save_encoder(const std::string& file, Encoder& encoder) {
  check(encoder, file);
  TensorFile content;
  content.tensors = state_dict(encoder.network);
  content.tensors.emplace_back(kMean, encoder.w_mean.detach());
  content.tensors.emplace_back(kScale, encoder.w_scale.detach());
  describe_resnet(encoder.network->options(), content);
  content.metadata["kind"] = "encoder";
  content.metadata["resolution"] = std::to_string(encoder.resolution);
  write_safetensors(file, content);
}

Encoder load_encoder(const std::string& file, torch::Device device, torch::Dtype dtype) {
  return encoder_from(read_safetensors(file), file, device, dtype);
}

Encoder encoder_from(TensorFile content, const std::string& file, torch::Device device,
                     torch::Dtype dtype) {
  const auto kind = metadata_text(content, file, "kind");
  validate(kind == "encoder", file, ": holds a network of the kind '", kind,
           "' (an encoder is needed); give the weights that the encoder stage wrote");
  Encoder encoder;
  encoder.w_mean = standardisation(content, kMean, file).to(device, dtype);
  encoder.w_scale = standardisation(content, kScale, file).to(device, dtype);
  std::erase_if(content.tensors,
                [](const auto& item) { return item.first == kMean || item.first == kScale; });
  encoder.network = resnet_from(content, file, device, dtype);
  encoder.resolution = metadata_integer(content, file, "resolution");
  check(encoder, file);
  return encoder;
}

void standardisation_as_text(TensorFile& content, const std::string& file) {
  for (const char* key : {kMean, kScale}) {
    const auto values = standardisation(content, key, file).to(torch::kDouble).contiguous();
    const auto* first = values.const_data_ptr<double>();
    content.metadata[key] = encode(std::vector<double>(first, first + values.numel()));
    std::erase_if(content.tensors, [&](const auto& item) { return item.first == key; });
  }
}

}  // namespace stylescope
