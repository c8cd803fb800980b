#include "stages/networks/state.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "stages/networks/mapping.hpp"

#include <algorithm>
#include <set>

namespace stylescope {
namespace {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

void append_state(const torch::nn::Module& module, const std::string& prefix, NamedTensors& state) {
  for (const auto& item : module.named_parameters(/*recurse=*/false))
    state.emplace_back(prefix + item.key(), item.value());
  for (const auto& item : module.named_buffers(/*recurse=*/false))
    state.emplace_back(prefix + item.key(), item.value());
  for (const auto& child : module.named_children())
    append_state(*child.value(), prefix + child.key() + ".", state);
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

bool ends_with(const std::string& name, std::string_view end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

NamedTensors state_of(const torch::nn::Module& module) {
  NamedTensors state;
  append_state(module, "", state);
  return state;
}

void initialize_weights(torch::nn::Module& module, uint64_t seed, std::string_view purpose) {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : state_of(module)) {
    const auto part = last_part(name);
    if (part == "weight" || part == "const" || part == "noise_const") {
      const std::string key = std::string(purpose) + name;
      // Drawn in float32 whatever the dtype: a float64 run starts from the same weights.
      const auto draw = keyed_normal({seed, key, 0}, {0}, tensor.sizes(), torch::kFloat32)[0];
      const bool slow = name.find("mapping.fc") == 0;
      tensor.copy_(slow ? draw / MappingNetworkImpl::learning_rate : draw);
    } else if (part == "bias") {
      tensor.fill_(ends_with(name, "affine.bias") ? 1 : 0);
    } else if (part == "noise_strength" || part == "w_avg") {
      tensor.zero_();
    } else {
      SS_CHECK(part == "resample_filter", name, " has no first value");
    }
  }
}

void save_state(const std::string& file, const torch::nn::Module& module,
                const std::map<std::string, std::string>& metadata) {
  TensorFile content;
  for (auto& [name, tensor] : state_of(module)) content.tensors.emplace_back(name, tensor.detach());
  content.metadata = metadata;
  write_safetensors(file, content);
}

void load_state(torch::nn::Module& module, const TensorFile& content, const std::string& file) {
  const torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> stored(content.tensors.begin(), content.tensors.end());
  std::vector<std::string> known;
  for (auto& [name, tensor] : state_of(module)) {
    known.push_back(name);
    const auto found = stored.find(name);
    if (found == stored.end()) {
      validate(last_part(name) == "resample_filter", file, ": the tensor ", name,
               " is missing (the other tensors say that it belongs to the network); export the "
               "weights again");
      continue;
    }
    validate(found->second.sizes() == tensor.sizes(), file, ": the tensor ", name,
             " has the shape ", found->second.sizes(), " (the other tensors ask for ",
             tensor.sizes(), "); export the weights again");
    tensor.copy_(found->second);
    stored.erase(found);
  }
  if (stored.empty()) return;
  const auto& unknown = stored.begin()->first;
  throw Error(detail::concatenate(file, ": the tensor ", unknown, " is unknown (", stored.size(),
                                  " such; the nearest known name is ", nearest(unknown, known),
                                  "); only StyleGAN2's own tensors may be in the file"));
}

std::vector<std::string> load_fitting(torch::nn::Module& module, const TensorFile& content,
                                      const std::string& file) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> left;
  size_t copied = 0;
  for (auto& [name, tensor] : state_of(module)) {
    if (content.contains(name) && content.at(name).sizes() == tensor.sizes()) {
      tensor.copy_(content.at(name));
      if (last_part(name) == "weight") ++copied;
    } else if (last_part(name) != "resample_filter") {
      left.push_back(name);
    }
  }
  const auto mapping_layers = [](const auto& tensors) {
    return std::ranges::count_if(tensors, [](const auto& named) {
      return named.first.rfind("mapping.fc", 0) == 0 && ends_with(named.first, ".weight");
    });
  };
  const auto theirs = mapping_layers(content.tensors), ours = mapping_layers(state_of(module));
  validate(theirs == ours || theirs == 0 || ours == 0, file, ": its mapping network has ", theirs,
           " layers (of which some mean nothing without the others), this one ", ours,
           "; set gan.mapping_layers to ", theirs);
  validate(copied > 0, file, ": none of its tensors fits this network by name and shape (here is ",
           left.empty() ? "nothing" : left.front(),
           "); give weights of a StyleGAN2 with the same sizes");
  return left;
}

}  // namespace stylescope
