#pragma once

#include <filesystem>

#include <torch/torch.h>

// direction.safetensors: the direction alpha in W along which f changes, with what it was learned
// from (Schutte et al. 2020, section 2). Its surrogate f~(w) = sigmoid(<alpha, w> + beta) imitates
// f(G(w)).
//
//   alpha (w_dim), beta (1)                  float64
//   unit_direction (w_dim)                   float64; alpha / |alpha|
//   projection_mean (1), projection_sd (1)   float64; of <unit_direction, w> over the w of the fit
//   scores (N)                               float64; f(G(w_i)), by sample number
//   logits (N)                               float64; <alpha, w_i> + beta
//   held_out (N)                             uint8; 1 where the sample was kept from the fit
//
// Metadata: format "stylescope.direction.1", threshold (a sample is positive when its score is at
// least this), c (the inverse strength of the L2 penalty).
namespace stylescope {

struct Direction {
  torch::Tensor alpha;
  double beta = 0;
  torch::Tensor unit;
  double projection_mean = 0;
  double projection_sd = 0;
  torch::Tensor scores, logits, held_out;
  double threshold = 0.5;
  double c = 1;

  // lambda of w + lambda alpha that moves w by this many standard deviations of the projection of
  // synthetic w's.
  double lambda_of_sd(double standard_deviations) const;
  // w (N, w_dim) -> logits of f~ (N), float64, CPU.
  torch::Tensor surrogate_logits(const torch::Tensor& w) const;
};

void save_direction(const std::filesystem::path& file, const Direction& direction);
// On the CPU. Throws Error when the file is no direction.
Direction load_direction(const std::filesystem::path& file);

}  // namespace stylescope
