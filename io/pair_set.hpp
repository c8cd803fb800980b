#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// Synthetic pairs (w_i, G(w_i)): every rank writes its own shard pairs-<rank>-of-<n>.h5, the root
// then writes pairs.h5, a virtual data set over them. HDF5 answers zeros, without an error, for a
// shard that is missing: pairs.h5 therefore stores each shard's name, rows, bytes and SHA-256, and
// PairSet checks them before it opens anything.
//   /w (N, w_dim) float32 (float64 in float64 runs), /images (N, C, H, W) uint8, /index (N) int64:
//   the keyed sample number
namespace stylescope {

struct PairShard {
  std::string file;  // name beside pairs.h5
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string sha256;
};

class PairShardWriter {
 public:
  PairShardWriter(std::filesystem::path file, int64_t rows, int64_t w_dim, torch::Dtype w_dtype,
                  int64_t channels, int64_t height, int64_t width);
  ~PairShardWriter();
  // Rows follow each other: w (n, w_dim), images (n, C, H, W) uint8, index (n).
  void append(const torch::Tensor& w, const torch::Tensor& images, const torch::Tensor& index);
  // fsync, rename, hash. Throws Error.
  PairShard close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Writes pairs.h5 over shards that lie beside it, in this order. Shards of 0 rows are allowed.
void write_pair_index(const std::filesystem::path& file, const std::vector<PairShard>& shards);

class PairSet {
 public:
  // Checks presence and size of every shard, and its SHA-256 when `verify`. Throws Error naming the
  // shard.
  explicit PairSet(const std::filesystem::path& file, bool verify = true);
  ~PairSet();
  PairSet(PairSet&&) noexcept;
  PairSet& operator=(PairSet&&) noexcept;

  int64_t size() const;
  int64_t w_dim() const;
  int64_t channels() const;
  int64_t resolution() const;
  torch::Tensor w() const;  // (N, w_dim) as stored
  // (n, C, H, W) uint8, CPU. From any number of threads at once and beside other users of HDF5, as
  // ImageSet::read, where reads_past_hdf5(); else not.
  torch::Tensor read_images(at::ArrayRef<int64_t> indices) const;
  bool reads_past_hdf5() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stylescope
