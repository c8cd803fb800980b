#pragma once

#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// Networks with the golden weights (tests/golden/README.md, "g64, g32c (networks)").
namespace stylescope::golden {

// All parameters and buffers in the reference's state-dict order: of each module its parameters,
// its buffers, then its children.
std::vector<std::pair<std::string, torch::Tensor>> state_of(torch::nn::Module& module);

// Fills a generator ("G.") or discriminator ("D.") by the value rule. FIR filters stay as the
// network made them.
void fill_network(torch::nn::Module& module, const std::string& prefix, int64_t seed);

}  // namespace stylescope::golden
