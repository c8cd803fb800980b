#include "pipeline/weights_file.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/state_dict.hpp"
#include "stages/networks/network_files.hpp"
#include "stages/networks/resnet_io.hpp"
#include "stages/networks/weight_names.hpp"
#include "stages/script/network_script.hpp"
#include "stages/script/script_module.hpp"

#include <fstream>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

std::string words(const GeneratorOptions& o) {
  return detail::concatenate(o.c_dim > 0 ? "conditional " : "", "generator of ", o.resolution, "x",
                             o.resolution, "x", o.image_channels);
}
std::string words(const DiscriminatorOptions& o) {
  return detail::concatenate(o.c_dim > 0 ? "conditional " : "", "discriminator of ", o.resolution,
                             "x", o.resolution, "x", o.image_channels);
}
std::string words(const std::string& use, const ResNetOptions& o) {
  return detail::concatenate(use, " (ResNet", o.depth, ", ", o.stem, " stem, ", o.input_channels,
                             o.input_channels == 1 ? " channel, " : " channels, ", o.outputs,
                             " outputs)");
}

std::string kind_of(const TensorFile& content, const fs::path& file) {
  const auto kind = network_kind(content);
  if (!kind.empty()) return kind;
  std::string some;
  for (size_t i = 0; i < content.tensors.size() && i < 3; ++i)
    some += (i > 0 ? ", " : "") + content.tensors[i].first;
  throw Error(detail::concatenate(
      file.string(), ": its ", content.tensors.size(), " tensors (", some.empty() ? "none" : some,
      content.tensors.size() > 3 ? ", ..." : "",
      ") are neither a ResNet under torchvision's names nor a network under StyleGAN2-ADA's; give "
      "them these names (tools/stylegan2_pkl_to_safetensors.py does it for the reference's .pkl)"));
}

void warn_of_half_types(const TensorFile& content, const fs::path& file) {
  for (const auto& [name, tensor] : content.tensors) {
    if (tensor.scalar_type() != torch::kFloat16 && tensor.scalar_type() != torch::kBFloat16)
      continue;
    log::warn("{}: has tensors in half precision ({}); they are kept as float32", file.string(),
              name);
    return;
  }
}

// What a classifier must know besides its weights.
void need(bool given, const fs::path& file, const char* what, const char* option) {
  validate(given, file.string(), ": does not say ", what, " (a classifier needs it); give ",
           option);
}

// Options that say nothing of this kind of network.
void refuse_foreign(const std::string& kind, const ImportOptions& options) {
  const auto only = [&](const char* option, bool given, bool fits, const char* kinds) {
    if (given && !fits)
      throw UsageError(detail::concatenate(option, ": is of a ", kinds, ", and this is ",
                                           kind == "encoder" ? "an " : "a ", kind,
                                           "; leave it out, or say what it is to be by --as"));
  };
  const bool f = kind == "classifier", d = kind == "discriminator", g = kind == "generator";
  only("--class-names", !options.class_names.empty(), f, "classifier");
  only("--positive", !options.positive.empty(), f, "classifier");
  only("--mean", !options.mean.empty(), f, "classifier");
  only("--stddev", !options.stddev.empty(), f, "classifier");
  only("--resolution", options.resolution != 0, f, "classifier");
  only("--clamp", options.clamp.has_value(), g || d, "generator or discriminator");
  only("--mbstd-group", options.mbstd_group.has_value(), d, "discriminator");
}

std::string import_resnet(TensorFile content, const fs::path& from, const fs::path& to) {
  const auto name = from.string();
  const auto options = resnet_options(content, name);
  describe_resnet(options, content);
  auto network = resnet_from(content, name, torch::kCPU, weights_dtype(content));
  TensorFile out{state_dict(network), {{"kind", "resnet"}}};
  describe_resnet(options, out);
  write_safetensors(to, out);
  return words("first weights for classifier.init and encoder.init", options);
}

std::string import_classifier(TensorFile content, const fs::path& from, const fs::path& to,
                              const ImportOptions& given) {
  const auto name = from.string();
  const auto dtype = weights_dtype(content);
  Classifier f;
  if (network_kind(content) == "classifier") {
    f = classifier_from(content, name, torch::kCPU, dtype);
  } else {
    describe_resnet(resnet_options(content, name), content);
    f.network = resnet_from(content, name, torch::kCPU, dtype);
    need(!given.class_names.empty(), from, "what its classes are called", "--class-names a,b");
    need(!given.mean.empty() && !given.stddev.empty(), from, "how its images are normalised",
         "--mean and --stddev, of x/255 for each channel (ImageNet's are 0.485,0.456,0.406 and "
         "0.229,0.224,0.225)");
    need(given.resolution > 0, from, "how large its images are", "--resolution");
  }
  if (!given.class_names.empty()) f.class_names = given.class_names;
  if (!given.mean.empty()) f.mean = given.mean;
  if (!given.stddev.empty()) f.stddev = given.stddev;
  if (given.resolution > 0) f.resolution = given.resolution;
  if (!given.positive.empty()) f.positive = given.positive;
  if (f.positive.empty())
    for (int64_t k = 1; k < f.network->options().outputs; ++k) f.positive.push_back(k);
  save_classifier(to.string(), f);
  return words("classifier", f.network->options());
}

std::string import_encoder(TensorFile content, const fs::path& from, const fs::path& to) {
  auto encoder = encoder_from(content, from.string(), torch::kCPU, weights_dtype(content));
  save_encoder(to.string(), encoder);
  return words("encoder", encoder.network->options());
}

}  // namespace

TensorFile read_weights(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const bool pickle = in.get() == 0x80;
  if (is_state_dict_file(file)) return read_state_dict(file);
  validate(!pickle || file.extension() != ".pkl", file.string(),
           ": is a pickle of Python objects (the reference of StyleGAN2-ADA keeps its networks so; "
           "it can only be read by its own code); convert it with "
           "tools/stylegan2_pkl_to_safetensors.py and your copy of the reference");
  return read_safetensors(file);
}

std::string import_weights(const fs::path& from, const fs::path& to, const ImportOptions& options) {
  auto content = read_weights(from);
  const auto kind = options.kind == "auto" ? kind_of(content, from) : options.kind;
  refuse_foreign(kind, options);
  warn_of_half_types(content, from);
  const auto dtype = weights_dtype(content);
  if (options.clamp) content.metadata["conv_clamp"] = encode(std::vector<double>{*options.clamp});
  if (options.mbstd_group) content.metadata["mbstd_group"] = std::to_string(*options.mbstd_group);
  if (kind == "generator") {
    auto g = generator_from(content, from.string(), torch::kCPU, dtype);
    save_generator(to.string(), g);
    return words(g->options());
  }
  if (kind == "discriminator") {
    auto d = discriminator_from(content, from.string(), torch::kCPU, dtype);
    save_discriminator(to.string(), d);
    return words(d->options());
  }
  if (kind == "classifier") return import_classifier(std::move(content), from, to, options);
  if (kind == "encoder") return import_encoder(std::move(content), from, to);
  SS_CHECK(kind == "resnet", kind);
  return import_resnet(std::move(content), from, to);
}

std::string export_network(const fs::path& from, const fs::path& to, const std::string& what,
                           const std::string& form) {
  const auto content = read_safetensors(from);
  const auto name = from.string(), out = to.string();
  const auto kind = kind_of(content, from);
  const auto dtype = weights_dtype(content);
  const bool script = form == "torchscript";
  SS_CHECK(script || form == "safetensors", form);
  validate(what.empty() || what == kind, name, ": holds a ", kind, ", not a ", what,
           "; name another file, or another --what");
  validate(!script || (kind != "discriminator" && kind != "resnet"), name, ": holds a ", kind,
           kind == "resnet" ? " that does not say how its images are normalised; import it as a "
                              "classifier first"
                            : " (as TorchScript there are generator, encoder and classifier); "
                              "choose --as safetensors");
  if (kind == "generator") {
    auto g = generator_from(content, name, torch::kCPU, dtype);
    script ? save_script(out, script_generator(g)) : save_generator(out, g);
    return words(g->options());
  }
  if (kind == "discriminator") {
    auto d = discriminator_from(content, name, torch::kCPU, dtype);
    save_discriminator(out, d);
    return words(d->options());
  }
  if (kind == "classifier") {
    auto f = classifier_from(content, name, torch::kCPU, dtype);
    script ? save_script(out, script_classifier(f)) : save_classifier(out, f);
    return words(kind, f.network->options());
  }
  if (kind == "encoder") {
    auto e = encoder_from(content, name, torch::kCPU, dtype);
    if (script) {
      save_script(out, script_encoder(e));
    } else {
      auto text = content;
      standardisation_as_text(text, name);
      write_safetensors(to, text);
    }
    return words(kind, e.network->options());
  }
  auto options = resnet_options(content, name);
  write_safetensors(to, content);
  return words("ResNet's weights", options);
}

}  // namespace stylescope
