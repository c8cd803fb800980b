#pragma once

#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

namespace stylescope::golden {

// Fills a StyleGAN2 network's tensors (stages/networks/state.hpp: state_of) by the golden rule of
// the sets g64, g32c and loop (tests/golden/README.md); `prefix` is "G." or "D.". FIR filters stay
// as the network made them.
void fill_weights(const std::vector<std::pair<std::string, torch::Tensor>>& state,
                  const std::string& prefix, int64_t seed);

}  // namespace stylescope::golden
