#pragma once

#include "io/safetensors.hpp"
#include "stages/networks/classifier.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/encoder.hpp"
#include "stages/networks/generator.hpp"

#include <string>

// load_generator() and the others in parts: networks of what was read already. `file` is for
// messages; they stand beside the load functions, and throw as these do.
namespace stylescope {

Generator generator_from(const TensorFile& content, const std::string& file, torch::Device device,
                         torch::Dtype dtype);
Discriminator discriminator_from(const TensorFile& content, const std::string& file,
                                 torch::Device device, torch::Dtype dtype);
Classifier classifier_from(const TensorFile& content, const std::string& file, torch::Device device,
                           torch::Dtype dtype);
// w_mean and w_scale may also stand in the metadata, as in files whose tensors are a ResNet's
// alone.
Encoder encoder_from(TensorFile content, const std::string& file, torch::Device device,
                     torch::Dtype dtype);

// The options alone, from names, shapes and metadata: the tensors need no data.
GeneratorOptions generator_options(const TensorFile& content, const std::string& file);
DiscriminatorOptions discriminator_options(const TensorFile& content, const std::string& file);

// What torchvision's ResNet has no tensors for goes into the metadata, to the last bit: an
// encoder's w_mean and w_scale.
void standardisation_as_text(TensorFile& content, const std::string& file);

}  // namespace stylescope
