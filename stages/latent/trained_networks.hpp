#pragma once

#include "stages/blackbox/black_box.hpp"
#include "stages/latent/direction_file.hpp"
#include "stages/networks/encoder.hpp"
#include "stages/networks/generator.hpp"
#include "stages/run_context.hpp"

#include <memory>

#include <torch/torch.h>

namespace stylescope {

// Everything that a run has learned, as explain and evaluate use it.
struct TrainedNetworks {
  std::unique_ptr<BlackBox> f;   // never null
  Generator generator{nullptr};  // G
  Encoder encoder;               // E
  Direction direction;           // alpha

  int64_t channels() const { return generator->options().image_channels; }
  int64_t resolution() const { return generator->options().resolution; }
};

// From the run directory, on the context's device and in its dtype; its world must live longer.
// Throws Error, naming the file, when one is missing, is something else, or does not fit the others
// (image size, channels, w).
TrainedNetworks load_trained_networks(const RunContext& context);

// The pictures of w (N, w_dim): one w for every layer, constant noise, (N, C, H, W) uint8 on the
// CPU. One batch.
torch::Tensor pictures_of(Generator& generator, const torch::Tensor& w);

// The pictures of w + lambda alpha for every lambda: w (w_dim), lambda (L) float64 -> (L, C, H, W)
// uint8, CPU.
torch::Tensor pictures_along(TrainedNetworks& networks, const torch::Tensor& w,
                             const torch::Tensor& lambda, int64_t batch);

}  // namespace stylescope
