#include "io/base/error.hpp"
#include "stages/networks/network_files.hpp"
#include "stages/networks/state.hpp"
#include "stages/networks/weight_names.hpp"

#include <algorithm>
#include <map>
#include <sstream>

// StyleGAN2 in files: the options of a network from the shapes of its tensors.
namespace stylescope {
namespace {

class Shapes {
 public:
  Shapes(const TensorFile& content, const std::string& file) : content_(content), file_(file) {}

  bool has(const std::string& name) const { return content_.contains(name); }
  int64_t size(const std::string& name, int64_t dim) const {
    validate(has(name), file_, ": the tensor ", name,
             " is missing (StyleGAN2's weights have it); is this the file of such a network?");
    const auto& tensor = content_.at(name);
    validate(tensor.dim() > dim, file_, ": the tensor ", name, " has the shape ", tensor.sizes(),
             " (too few dimensions); export the weights again");
    return tensor.size(dim);
  }
  // The largest r for which `prefix`b{r}.conv1.weight is there.
  int64_t resolution(const std::string& prefix) const {
    int64_t found = 0;
    for (int64_t r = 8; r <= 1024; r *= 2)
      if (has(prefix + block_name(r) + ".conv1.weight")) found = r;
    validate(found > 0, file_, ": holds no tensor like ", prefix,
             "b8.conv1.weight (StyleGAN2's weights do); ", "is this the file of such a network?");
    return found;
  }
  int64_t mapping_layers() const {
    int64_t n = 0;
    while (has(detail::concatenate("mapping.fc", n, ".weight"))) ++n;
    return n;
  }
  double number(const std::string& key, double otherwise) const {
    const auto found = content_.metadata.find(key);
    if (found == content_.metadata.end()) return otherwise;
    std::istringstream text(found->second);
    double value = 0;
    validate(text >> value && text.eof() && value >= 0, file_, ": the metadata entry ", key,
             " is '", found->second, "' (no number of at least 0); export the weights again");
    return value;
  }

 private:
  const TensorFile& content_;
  const std::string& file_;
};

// The smallest channel_base that gives these channels, by resolution; load_state() finds out when
// none does.
void set_channels(const std::map<int64_t, int64_t>& channels, int64_t& base, int64_t& max) {
  max = channels.begin()->second;
  base = 0;
  for (const auto& [resolution, count] : channels) base = std::max(base, resolution * count);
}

std::string text(double value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

template <class Network, class Options>
Network load_network(const Options& options, const TensorFile& content, const std::string& file,
                     torch::Device device, torch::Dtype dtype) {
  check_enough(options, content, file);
  Network network(options);
  network->to(dtype);
  load_state(*network, content, file);
  network->to(device);
  network->eval();
  return network;
}

}  // namespace

GeneratorOptions generator_options(const TensorFile& content, const std::string& file) {
  const Shapes shapes(content, file);
  const auto block = [](int64_t r) { return std::string("synthesis.") + block_name(r); };
  GeneratorOptions options;
  options.resolution = shapes.resolution("synthesis.");
  options.image_channels = shapes.size("synthesis.b4.torgb.weight", 0);
  options.w_dim = shapes.size("synthesis.b4.conv1.affine.weight", 1);
  options.c_dim = shapes.has("mapping.embed.weight") ? shapes.size("mapping.embed.weight", 1) : 0;
  options.z_dim = shapes.size("mapping.fc0.weight", 1) - (options.c_dim > 0 ? options.w_dim : 0);
  options.mapping_layers = shapes.mapping_layers();
  std::map<int64_t, int64_t> channels;
  for (int64_t r = 4; r <= options.resolution; r *= 2)
    channels[r] = shapes.size(block(r) + ".conv1.weight", 0);
  set_channels(channels, options.channel_base, options.channel_max);
  options.clamp = shapes.number("conv_clamp", 0);
  return options;
}

DiscriminatorOptions discriminator_options(const TensorFile& content, const std::string& file) {
  const Shapes shapes(content, file);
  DiscriminatorOptions options;
  options.resolution = shapes.resolution("");
  options.image_channels = shapes.size(block_name(options.resolution) + ".fromrgb.weight", 1);
  options.residual = shapes.has(block_name(options.resolution) + ".skip.weight");
  options.c_dim = shapes.has("mapping.embed.weight") ? shapes.size("mapping.embed.weight", 1) : 0;
  if (options.c_dim > 0) options.mapping_layers = shapes.mapping_layers();
  std::map<int64_t, int64_t> channels;
  channels[4] = shapes.size("b4.conv.weight", 0);
  for (int64_t r = 8; r <= options.resolution; r *= 2)
    channels[r] = shapes.size(block_name(r) + ".conv0.weight", 0);
  set_channels(channels, options.channel_base, options.channel_max);
  options.mbstd_group =
      static_cast<int64_t>(shapes.number("mbstd_group", static_cast<double>(options.mbstd_group)));
  validate(options.mbstd_group > 0, file,
           ": the metadata entry mbstd_group is 0 (groups have at least one sample); ",
           "export the weights again");
  options.clamp = shapes.number("conv_clamp", 0);
  return options;
}

Generator load_generator(const std::string& file, torch::Device device, torch::Dtype dtype) {
  return generator_from(read_safetensors(file), file, device, dtype);
}

Generator generator_from(const TensorFile& content, const std::string& file, torch::Device device,
                         torch::Dtype dtype) {
  return load_network<Generator>(generator_options(content, file), content, file, device, dtype);
}

void save_generator(const std::string& file, Generator& generator,
                    std::map<std::string, std::string> metadata) {
  metadata["conv_clamp"] = text(generator->options().clamp);
  save_state(file, *generator, metadata);
}

Discriminator load_discriminator(const std::string& file, torch::Device device,
                                 torch::Dtype dtype) {
  return discriminator_from(read_safetensors(file), file, device, dtype);
}

Discriminator discriminator_from(const TensorFile& content, const std::string& file,
                                 torch::Device device, torch::Dtype dtype) {
  return load_network<Discriminator>(discriminator_options(content, file), content, file, device,
                                     dtype);
}

void save_discriminator(const std::string& file, Discriminator& discriminator) {
  const auto& options = discriminator->options();
  save_state(
      file, *discriminator,
      {{"conv_clamp", text(options.clamp)}, {"mbstd_group", std::to_string(options.mbstd_group)}});
}

}  // namespace stylescope
