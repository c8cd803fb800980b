#include "stages/metrics/streaming_moments.hpp"

#include "io/base/error.hpp"

namespace stylescope {

StreamingMoments::StreamingMoments(int64_t dimensions)
    : mean_(torch::zeros({dimensions}, torch::kDouble)),
      scatter_(torch::zeros({dimensions, dimensions}, torch::kDouble)) {
  SS_CHECK(dimensions > 0);
}

void StreamingMoments::add(const torch::Tensor& features) {
  SS_CHECK(features.dim() == 2 && features.size(1) == dimensions(), "features ", features.sizes());
  if (features.size(0) == 0) return;
  const auto x = features.detach().to(torch::kCPU, torch::kDouble);
  StreamingMoments piece(dimensions());
  piece.count_ = x.size(0);
  piece.mean_ = x.mean(0);
  const auto centered = x - piece.mean_;
  piece.scatter_ = centered.t().matmul(centered);
  merge(piece);
}

void StreamingMoments::merge(const StreamingMoments& other) {
  SS_CHECK(other.dimensions() == dimensions(), other.dimensions(), " and ", dimensions());
  if (other.count_ == 0) return;
  const auto mine = static_cast<double>(count_), theirs = static_cast<double>(other.count_);
  const auto apart = other.mean_ - mean_;
  mean_ = mean_ + apart * (theirs / (mine + theirs));
  scatter_ = scatter_ + other.scatter_ + apart.outer(apart) * (mine * theirs / (mine + theirs));
  count_ += other.count_;
}

// Each rank moves its scatter to the common mean, so that one sum over the ranks is enough.
void StreamingMoments::reduce(Communicator& world) {
  const auto mine = static_cast<double>(count_);
  auto sums = torch::cat({torch::full({1}, mine, torch::kDouble), mean_ * mine});
  world.all_reduce(sums);
  const double all = sums[0].item<double>();
  if (all == 0) return;
  const auto common = sums.slice(0, 1) / all;
  const auto apart = mean_ - common;
  auto scatter = (scatter_ + apart.outer(apart) * mine).contiguous();
  world.all_reduce(scatter);
  count_ = static_cast<int64_t>(all);
  mean_ = common;
  scatter_ = scatter;
}

Moments StreamingMoments::moments(int64_t ddof) const {
  validate(count_ > ddof, "moments: of ", count_, " images (more than ", ddof,
           " are needed); use more images");
  return {mean_, scatter_ / static_cast<double>(count_ - ddof)};
}

}  // namespace stylescope
