#include "stages/training/sampler.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

namespace stylescope {

EpochSampler::EpochSampler(uint64_t seed, std::string purpose, int64_t size)
    : seed_(seed), purpose_(std::move(purpose)), size_(size) {
  SS_CHECK(size > 0, purpose_);
}

int64_t EpochSampler::index(int64_t n) {
  SS_CHECK(n >= 0, n);
  return order_of(n / size_).const_data_ptr<int64_t>()[n % size_];
}

std::vector<int64_t> EpochSampler::indices(at::ArrayRef<int64_t> sample_numbers) {
  std::vector<int64_t> images;
  images.reserve(sample_numbers.size());
  for (const int64_t n : sample_numbers) images.push_back(index(n));
  return images;
}

const torch::Tensor& EpochSampler::order_of(int64_t epoch) {
  auto& kept = epochs_[static_cast<size_t>(epoch % 2)];
  if (kept.number != epoch) kept = {epoch, keyed_permutation({seed_, purpose_, epoch}, size_)};
  return kept.order;
}

}  // namespace stylescope
