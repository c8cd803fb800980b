#include "io/base/error.hpp"
#include "io/checkpoint_file.hpp"
#include "io/safetensors_header.hpp"
#include "io/state_dict.hpp"
#include "pipeline/inspect.hpp"
#include "stages/networks/network_files.hpp"
#include "stages/networks/resnet_io.hpp"
#include "stages/networks/weight_names.hpp"

#include <string>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr size_t kLongestText = 200;

Inspection tensors_of(const TensorFile& content) {
  Inspection rows = Inspection::array();
  for (const auto& [name, tensor] : content.tensors)
    rows.push_back({{"name", name},
                    {"type", torch::toString(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()}});
  return rows;
}

Inspection metadata_of(const TensorFile& content) {
  Inspection texts = Inspection::object();
  for (const auto& [key, value] : content.metadata)
    texts[key] = value.size() <= kLongestText ? value
                                              : value.substr(0, kLongestText) + "... (" +
                                                    std::to_string(value.size()) + " characters)";
  return texts;
}

Inspection facts(const GeneratorOptions& o) {
  return {{"resolution", o.resolution},
          {"channels", o.image_channels},
          {"z_dim", o.z_dim},
          {"c_dim", o.c_dim},
          {"w_dim", o.w_dim},
          {"num_ws", o.num_ws()},
          {"mapping_layers", o.mapping_layers},
          {"channel_base", o.channel_base},
          {"channel_max", o.channel_max},
          {"conv_clamp", o.clamp}};
}

Inspection facts(const DiscriminatorOptions& o) {
  return {
      {"resolution", o.resolution},     {"channels", o.image_channels}, {"c_dim", o.c_dim},
      {"channel_base", o.channel_base}, {"channel_max", o.channel_max}, {"residual", o.residual},
      {"mbstd_group", o.mbstd_group},   {"conv_clamp", o.clamp}};
}

Inspection facts(const ResNetOptions& o) {
  return {{"depth", o.depth},
          {"stem", o.stem},
          {"width", o.width},
          {"input_channels", o.input_channels},
          {"outputs", o.outputs}};
}

// What network the tensors are, if any.
Inspection network_of(const TensorFile& content, const std::string& kind, const fs::path& file) {
  const auto name = file.string();
  if (kind == "generator") return facts(generator_options(content, name));
  if (kind == "discriminator") return facts(discriminator_options(content, name));
  auto result = facts(resnet_options(content, name));
  if (kind == "encoder" || kind == "classifier")
    result["resolution"] = metadata_integer(content, name, "resolution");
  if (kind == "classifier") {
    result["class_names"] = metadata_texts(content, name, "class_names");
    result["positive"] = metadata_integers(content, name, "positive");
    result["mean"] = metadata_reals(content, name, "mean");
    result["stddev"] = metadata_reals(content, name, "stddev");
  }
  return result;
}

void describe_weights(Inspection& result, const TensorFile& content, const fs::path& file) {
  const auto kind = network_kind(content);
  if (!kind.empty()) {
    result["network"] = kind;
    result.update(network_of(content, kind, file));
    result["parameters"] = parameter_count(content);
  }
  result["tensors"] = content.tensors.size();
  if (!content.metadata.empty()) result["metadata"] = metadata_of(content);
  result["content"] = tensors_of(content);
}

Inspection inspect_checkpoint(const fs::path& file) {
  const auto checkpoint = read_checkpoint(file);
  int64_t bytes = 0;
  TensorFile content{checkpoint.tensors, {}};
  for (const auto& [name, tensor] : content.tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return {{"kind", "checkpoint of stylescope"}, {"step", checkpoint.step},
          {"checksum", "as written (SHA-256)"}, {"tensors", content.tensors.size()},
          {"bytes_of_tensors", bytes},          {"numbers", checkpoint.numbers.size()},
          {"content", tensors_of(content)}};
}

}  // namespace

Inspection inspect_safetensors(const fs::path& file) {
  const auto content = read_safetensors_header(file);
  const auto format = content.metadata.find("format");
  const bool named = format != content.metadata.end();
  if (named && format->second == "stylescope.checkpoint.1") return inspect_checkpoint(file);
  const bool direction = named && format->second == "stylescope.direction.1";
  Inspection result{{"kind", direction ? "direction of stylescope (safetensors)" : "safetensors"}};
  describe_weights(result, content, file);
  return result;
}

Inspection inspect_state_dict(const fs::path& file) {
  Inspection result{{"kind", "state_dict of torch.save"}};
  describe_weights(result, read_state_dict(file), file);
  return result;
}

}  // namespace stylescope
