#pragma once

#include <cstdint>
#include <string_view>

#include <torch/torch.h>

// Random numbers keyed by what they are for, never by who draws them: (seed, purpose, step, global
// sample index). The number of ranks therefore cannot change a draw, and nothing has to be saved to
// resume.
//
//   auto z = keyed_normal({seed, "gan.z", step}, global_indices, {z_dim}, options);   // (indices,
//   z_dim)
namespace stylescope {

struct RandomKey {
  uint64_t seed = 0;
  std::string_view purpose;  // "stage.what", a name used nowhere else
  int64_t step = 0;
};

// A 64-bit hash of the key and a sample index (-1: one draw for the whole step).
uint64_t hash_key(const RandomKey& key, int64_t sample = -1);

// A CPU generator that starts at the key: the source of any number of draws, in a fixed order.
torch::Generator keyed_generator(const RandomKey& key, int64_t sample = -1);

// One row per sample, each from its own generator: shape (samples.size(), *shape). Drawn on the
// CPU, so that CPU and GPU runs see the same numbers, then moved to the device of `options`.
// Standard normal / uniform in [0,1).
torch::Tensor keyed_normal(const RandomKey& key, at::ArrayRef<int64_t> samples,
                           at::IntArrayRef shape, const torch::TensorOptions& options);
torch::Tensor keyed_uniform(const RandomKey& key, at::ArrayRef<int64_t> samples,
                            at::IntArrayRef shape, const torch::TensorOptions& options);

// One number for the whole step, in [0,1) / in 0..bound-1.
double keyed_uniform(const RandomKey& key);
int64_t keyed_integer(const RandomKey& key, int64_t bound, int64_t sample = -1);

// A permutation of 0..n-1 (int64, CPU).
torch::Tensor keyed_permutation(const RandomKey& key, int64_t n);

}  // namespace stylescope
