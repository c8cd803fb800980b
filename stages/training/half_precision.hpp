#pragma once

#include "stages/run_context.hpp"

#include <optional>
#include <string>

namespace stylescope {

// Choices of the keys half_precision: features in a type of half the size, weights and statistics
// in float32. "off": none; "bfloat16"; "float16".
std::optional<torch::Dtype> half_type(const std::string& choice);

// half_type(), for a training that runs in `context`. `key` names it in messages. Throws Error
// where the weights are not float32, or float16 is to be computed by a CPU; warns where the CPU has
// no instructions for bfloat16 and will be slower for it.
std::optional<torch::Dtype> checked_half_type(const std::string& key, const std::string& choice,
                                              const RunContext& context);

}  // namespace stylescope
