#include "stages/networks/resnet_io.hpp"

#include "io/base/error.hpp"
#include "stages/networks/weight_names.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace stylescope {
namespace {

bool is_counter(const std::string& name) { return name.ends_with("num_batches_tracked"); }
bool is_head(const std::string& name) { return name.starts_with("fc."); }

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 5; ++i)
    text.append(i > 0 ? ", " : "").append(names[i]);
  if (names.size() > 5)
    text.append(" and ").append(std::to_string(names.size() - 5)).append(" more");
  return text;
}

std::string shape_of(const torch::Tensor& tensor) { return detail::concatenate(tensor.sizes()); }

// Fills the network's tensors from `file`; those that `head` leaves out stay as they are.
void fill(ResNet& network, const TensorFile& file, const std::string& name, bool head) {
  torch::NoGradGuard no_grad;
  std::set<std::string> known;
  std::vector<std::string> missing, unknown;
  for (auto& [key, target] : state_dict(network)) {
    known.insert(key);
    if (!head && is_head(key)) continue;
    if (!file.contains(key)) {
      if (!is_counter(key)) missing.push_back(key);
      continue;
    }
    auto source = file.at(key);
    if (!head && key == "conv1.weight" && target.size(1) == 1 && source.dim() == 4 &&
        source.size(1) > 1) {
      source = source.to(torch::kDouble).sum(1, true);
    }
    validate(source.sizes() == target.sizes(), name, ": ", key, " has the shape ", shape_of(source),
             " (the network asks for ", shape_of(target),
             "); check depth, stem, width, channels and classes");
    target.copy_(source);
  }
  for (const auto& [key, tensor] : file.tensors) {
    if (!known.contains(key) && !is_head(key)) unknown.push_back(key);
  }
  validate(missing.empty(), name, ": lacks ", listed(missing),
           " (not the weights of this ResNet); check depth and stem");
  validate(unknown.empty(), name, ": holds ", listed(unknown),
           " (this ResNet has no such tensors); check depth and stem");
}

template <class Number>
std::string encode_numbers(const std::vector<Number>& values) {
  std::string text;
  for (const auto value : values) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    text.append(text.empty() ? "" : ",").append(digits, end);
  }
  return text;
}

template <class Number>
std::vector<Number> decode_numbers(const std::string& text, const std::string& name,
                                   const std::string& key) {
  std::vector<Number> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    Number value{};
    const auto result = std::from_chars(at, end, value);
    const bool whole = result.ec == std::errc() && (result.ptr == end || *result.ptr == ',');
    validate(whole, name, ": the metadata entry '", key, "' is '", text,
             "' (numbers with commas between them are expected); write the file anew");
    values.push_back(value);
    at = result.ptr == end ? end : result.ptr + 1;
  }
  return values;
}

}  // namespace

std::vector<std::pair<std::string, torch::Tensor>> state_dict(ResNet& network) {
  std::vector<std::pair<std::string, torch::Tensor>> state;
  for (const auto& module : network->named_modules("", true)) {
    const auto prefix = module.key().empty() ? std::string() : module.key() + ".";
    for (const auto& item : module.value()->named_parameters(false)) {
      state.emplace_back(prefix + item.key(), item.value().detach());
    }
    for (const auto& item : module.value()->named_buffers(false)) {
      state.emplace_back(prefix + item.key(), item.value());
    }
  }
  return state;
}

void load_resnet_weights(ResNet& network, const std::string& file, bool head) {
  fill(network, read_safetensors(file), file, head);
}

void describe_resnet(const ResNetOptions& options, TensorFile& file) {
  file.metadata["network"] = "resnet";
  file.metadata["stem"] = options.stem;
  file.metadata["depth"] = std::to_string(options.depth);
  file.metadata["input_channels"] = std::to_string(options.input_channels);
  file.metadata["outputs"] = std::to_string(options.outputs);
  file.metadata["width"] = std::to_string(options.width);
}

ResNet resnet_from(const TensorFile& file, const std::string& name, torch::Device device,
                   torch::Dtype dtype) {
  ResNetOptions options;
  options.stem = metadata_text(file, name, "stem");
  options.depth = metadata_integer(file, name, "depth");
  options.input_channels = metadata_integer(file, name, "input_channels");
  options.outputs = metadata_integer(file, name, "outputs");
  options.width = metadata_integer(file, name, "width");
  check_enough(options, file, name);
  ResNet network(options);
  // First the dtype, so that float64 weights come back in full.
  network->to(device, dtype);
  fill(network, file, name, true);
  network->eval();
  return network;
}

std::string metadata_text(const TensorFile& file, const std::string& name, const std::string& key) {
  const auto found = file.metadata.find(key);
  validate(found != file.metadata.end(), name, ": its metadata has no entry '", key,
           "' (not a file of this kind); give the weights that stylescope wrote");
  return found->second;
}

std::vector<int64_t> metadata_integers(const TensorFile& file, const std::string& name,
                                       const std::string& key) {
  return decode_numbers<int64_t>(metadata_text(file, name, key), name, key);
}

std::vector<double> metadata_reals(const TensorFile& file, const std::string& name,
                                   const std::string& key) {
  return decode_numbers<double>(metadata_text(file, name, key), name, key);
}

int64_t metadata_integer(const TensorFile& file, const std::string& name, const std::string& key) {
  const auto values = metadata_integers(file, name, key);
  validate(values.size() == 1, name, ": the metadata entry '", key,
           "' is no single number; write the file anew");
  return values.front();
}

// Texts are joined by line feeds; a line feed or backslash within one is written with a backslash
// before it.
std::vector<std::string> metadata_texts(const TensorFile& file, const std::string& name,
                                        const std::string& key) {
  const auto joined = metadata_text(file, name, key);
  std::vector<std::string> values;
  for (size_t i = 0; i < joined.size(); ++i) {
    if (i == 0) values.emplace_back();
    if (joined[i] == '\n') {
      values.emplace_back();
    } else {
      if (joined[i] == '\\' && i + 1 < joined.size()) ++i;
      values.back() += joined[i];
    }
  }
  return values;
}

std::string encode(const std::vector<int64_t>& values) { return encode_numbers(values); }
std::string encode(const std::vector<double>& values) { return encode_numbers(values); }

std::string encode(const std::vector<std::string>& values) {
  std::string joined;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) joined += '\n';
    for (const char c : values[i]) {
      if (c == '\n' || c == '\\') joined += '\\';
      joined += c;
    }
  }
  return joined;
}

torch::Tensor evaluate_in_batches(
    ResNet& network, const torch::Tensor& images, int64_t resolution, int64_t batch,
    const std::function<torch::Tensor(const torch::Tensor&)>& prepare) {
  const auto& options = network->options();
  const bool fits = images.dim() == 4 && images.scalar_type() == torch::kByte &&
                    images.size(1) == options.input_channels && images.size(2) == resolution &&
                    images.size(3) == resolution;
  validate(fits, "images of the shape ", shape_of(images), " and type ", images.scalar_type(),
           " do not fit the network (bytes of the shape N x ", options.input_channels, " x ",
           resolution, " x ", resolution,
           " do); ingest them with the same resolution and channels");
  SS_CHECK(batch > 0);
  const Evaluation evaluation(network);
  std::vector<torch::Tensor> rows;
  for (int64_t begin = 0; begin < images.size(0); begin += batch) {
    rows.push_back(network(prepare(images.slice(0, begin, begin + batch))));
  }
  const torch::Tensor weight = network->parameters().front();
  return rows.empty() ? torch::empty({0, options.outputs}, weight.options()).detach()
                      : torch::cat(rows);
}

}  // namespace stylescope
