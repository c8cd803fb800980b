#include "distributed/random.hpp"

#include "io/base/error.hpp"

#include <ATen/CPUGeneratorImpl.h>

namespace stylescope {
namespace {

// Finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection whose output bits all depend on
// all input bits.
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

template <class Draw>
torch::Tensor draw_rows(const RandomKey& key, at::ArrayRef<int64_t> samples, at::IntArrayRef shape,
                        const torch::TensorOptions& options, Draw draw) {
  std::vector<int64_t> sizes{static_cast<int64_t>(samples.size())};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  auto rows = torch::empty(sizes, options.device(torch::kCPU).requires_grad(false));
  for (size_t i = 0; i < samples.size(); ++i) {
    auto row = rows[static_cast<int64_t>(i)];
    draw(row, keyed_generator(key, samples[i]));
  }
  return rows.to(options.device());
}

}  // namespace

uint64_t hash_key(const RandomKey& key, int64_t sample) {
  uint64_t h = mix(key.seed);
  for (const char c : key.purpose) h = mix(h ^ static_cast<unsigned char>(c));
  h = mix(h ^ static_cast<uint64_t>(key.step));
  return mix(h ^ static_cast<uint64_t>(sample));
}

torch::Generator keyed_generator(const RandomKey& key, int64_t sample) {
  return at::make_generator<at::CPUGeneratorImpl>(hash_key(key, sample));
}

torch::Tensor keyed_normal(const RandomKey& key, at::ArrayRef<int64_t> samples,
                           at::IntArrayRef shape, const torch::TensorOptions& options) {
  return draw_rows(key, samples, shape, options,
                   [](torch::Tensor& row, const torch::Generator& g) { row.normal_(0, 1, g); });
}

torch::Tensor keyed_uniform(const RandomKey& key, at::ArrayRef<int64_t> samples,
                            at::IntArrayRef shape, const torch::TensorOptions& options) {
  return draw_rows(key, samples, shape, options,
                   [](torch::Tensor& row, const torch::Generator& g) { row.uniform_(0, 1, g); });
}

double keyed_uniform(const RandomKey& key) {
  return static_cast<double>(hash_key(key) >> 11) * 0x1.0p-53;
}

int64_t keyed_integer(const RandomKey& key, int64_t bound, int64_t sample) {
  SS_CHECK(bound > 0);
  // The bias of the modulo is below bound / 2^64.
  return static_cast<int64_t>(hash_key(key, sample) % static_cast<uint64_t>(bound));
}

torch::Tensor keyed_permutation(const RandomKey& key, int64_t n) {
  return torch::randperm(n, keyed_generator(key), torch::kInt64);
}

}  // namespace stylescope
