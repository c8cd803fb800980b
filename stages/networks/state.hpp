#pragma once

#include "io/safetensors.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <torch/torch.h>

// What StyleGAN2's two networks have in common as bags of named tensors: first values, files.
namespace stylescope {

// Parameters and buffers in StyleGAN2-ADA's order: of a module its parameters, then its buffers,
// then its children's. The tensors are the module's own, not copies.
std::vector<std::pair<std::string, torch::Tensor>> state_of(const torch::nn::Module& module);

// First values of StyleGAN2 (see initialize() in generator.hpp), drawn for (seed, purpose + tensor
// name).
void initialize_weights(torch::nn::Module& module, uint64_t seed, std::string_view purpose);

void save_state(const std::string& file, const torch::nn::Module& module,
                const std::map<std::string, std::string>& metadata);

// Copies a file's tensors into the module. Throws Error naming the tensor that is missing, unknown
// or of another shape; resample_filter buffers may be missing.
void load_state(torch::nn::Module& module, const TensorFile& content, const std::string& file);

// Transfer: copies the tensors whose name and shape fit and leaves the others as they are; returns
// the names of those. Throws Error when not a single weight fits, or the mapping networks have not
// as many layers.
std::vector<std::string> load_fitting(torch::nn::Module& module, const TensorFile& content,
                                      const std::string& file);

}  // namespace stylescope
