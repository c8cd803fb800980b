#pragma once

#include "io/safetensors.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"
#include "stages/networks/resnet.hpp"

#include <cstdint>
#include <string>

// Whose weights a bag of named tensors holds. Names, shapes and metadata are enough: the tensors
// need no data (read_safetensors_header).
namespace stylescope {

// "classifier" or "encoder": by stylescope's metadata; "generator", "discriminator": by
// StyleGAN2-ADA's names; "resnet": torchvision's names and nothing more; "": none of these.
std::string network_kind(const TensorFile& content);

// Of a ResNet under torchvision's names. Throws Error naming what is missing, or a depth that
// stylescope does not have.
ResNetOptions resnet_options(const TensorFile& content, const std::string& file);

// Throws Error where the file holds fewer numbers than a network of these options needs at least,
// or a tensor of none: a file that is not whole must not ask for a giant network, whose tensors
// would be compared only after it is made.
void check_enough(const ResNetOptions& options, const TensorFile& content, const std::string& file);
void check_enough(const GeneratorOptions& options, const TensorFile& content,
                  const std::string& file);
void check_enough(const DiscriminatorOptions& options, const TensorFile& content,
                  const std::string& file);

// What the networks of a file are kept in: float64 where one of its tensors is, else float32 (half
// types are widened).
torch::Dtype weights_dtype(const TensorFile& content);

// Numbers that training changes: all but buffers (running statistics, filters, constant noise...).
int64_t parameter_count(const TensorFile& content);

}  // namespace stylescope
