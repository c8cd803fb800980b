#pragma once

#include "io/safetensors.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Weights in and out of stylescope: safetensors under torchvision's names (ResNets) and
// StyleGAN2-ADA's (G and D).
namespace stylescope {

// A safetensors file, or a state_dict of torch.save. Throws Error naming the file, and of other
// kinds of files what to do.
TensorFile read_weights(const std::filesystem::path& file);

struct ImportOptions {
  std::string kind = "auto";  // or resnet, classifier, encoder, generator, discriminator
  // Of a classifier, where the file itself does not say: see Classifier. No positive class: all but
  // class 0.
  std::vector<std::string> class_names;
  std::vector<int64_t> positive;
  std::vector<double> mean, stddev;
  int64_t resolution = 0;
  // Of G and D, where the file itself does not say.
  std::optional<double> clamp;
  std::optional<int64_t> mbstd_group;
};

// Checks the weights of `from` against the network that they belong to and writes them to `to`, for
// classifier.init and encoder.init (resnet), gan.init_generator, gan.init_discriminator and
// generate, or as the classifier or encoder that a run would have trained. Tensors keep their bits;
// half types are widened. Returns what it is, as a sentence's middle: "generator of 256x256x3".
// Throws Error naming tensors that are missing, unknown or of another shape.
std::string import_weights(const std::filesystem::path& from, const std::filesystem::path& to,
                           const ImportOptions& options);

// The network of `from` for other programs: `form` safetensors or torchscript. `what`: the kind
// that it must be, "" for any. Tensors of an encoder that torchvision's ResNet does not have go to
// the metadata. Returns as import_weights. Throws Error.
std::string export_network(const std::filesystem::path& from, const std::filesystem::path& to,
                           const std::string& what, const std::string& form);

}  // namespace stylescope
