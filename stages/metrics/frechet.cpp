#include "stages/metrics/frechet.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <limits>

namespace stylescope {
namespace {

// Eigenvalues of a covariance that rounding alone can make are taken as the zeros they stand for:
// their square roots (1e-8 for 1e-16) would otherwise be what decides the distance of
// rank-deficient covariances.
torch::Tensor square_root(const torch::Tensor& covariance) {
  const auto [values, vectors] = torch::linalg_eigh(0.5 * (covariance + covariance.t()));
  const double largest = values.abs().max().item<double>();
  const double noise =
      largest * static_cast<double>(values.numel()) * std::numeric_limits<double>::epsilon();
  const auto roots = values.masked_fill(values <= noise, 0).sqrt();
  return (vectors * roots.unsqueeze(0)).matmul(vectors.t());
}

}  // namespace

Moments moments(const torch::Tensor& features, int64_t ddof) {
  validate(features.dim() == 2 && features.size(0) > ddof, "moments: features of the shape ",
           features.sizes(), " (more than ", ddof, " rows are needed); use more images");
  const auto x = features.detach().to(torch::kDouble);
  const auto mean = x.mean(0);
  const auto centered = x - mean;
  return {mean, centered.t().matmul(centered) / static_cast<double>(x.size(0) - ddof)};
}

double frechet_distance(const Moments& a, const Moments& b) {
  SS_CHECK(a.mean.numel() == b.mean.numel(), a.mean.numel(), " and ", b.mean.numel(),
           " dimensions");
  for (const auto& tensor : {a.mean, a.covariance, b.mean, b.covariance}) {
    validate(tensor.isfinite().all().item<bool>(),
             "Frechet distance: the features are not all finite numbers");
  }
  // tr (A^1/2 B A^1/2)^1/2 is the sum of the singular values of A^1/2 B^1/2, which needs no root of
  // a small eigenvalue.
  const auto product = square_root(a.covariance).matmul(square_root(b.covariance));
  const double cross = torch::linalg_svdvals(product).sum().item<double>();
  const double means = (a.mean - b.mean).square().sum().item<double>();
  const double traces = (a.covariance.trace() + b.covariance.trace()).item<double>();
  return std::max(0.0, means + traces - 2 * cross);
}

}  // namespace stylescope
