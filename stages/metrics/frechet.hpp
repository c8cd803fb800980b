#pragma once

#include <torch/torch.h>

namespace stylescope {

// Mean and covariance (divided by N - ddof) of features (N, D), float64. Throws Error unless N >
// ddof.
struct Moments {
  torch::Tensor mean;
  torch::Tensor covariance;
};
Moments moments(const torch::Tensor& features, int64_t ddof);

// Frechet distance of two Gaussians (Dowson and Landau 1982): |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2
// S2 S1^1/2)^1/2), by symmetric eigendecompositions, so that rank-deficient covariances are exact
// too. Throws Error for values not finite.
double frechet_distance(const Moments& a, const Moments& b);

}  // namespace stylescope
