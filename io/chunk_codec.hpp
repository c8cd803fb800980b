#pragma once

#include "io/jpeg_codec.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <torch/torch.h>

// How the pixels of one image become the bytes of one HDF5 chunk, and back: outside of the HDF5
// library, so on any thread. The bytes are what HDF5's filters of these ids make, so other programs
// read them too:
//   lz4   filter 32004 (h5py: `import hdf5plugin`). A block of the image's size.
//   zstd  filter 32015 (h5py: `import hdf5plugin`). One frame, with its size and a checksum.
//   jpeg  filter 305, of the range for private use: a JPEG file kept as the slide's scanner wrote
//         it, which decodes (libjpeg's default) to (3, H, W). The filter after it is zstd, for
//         images of the same data set that are no JPEG; each chunk's filter mask says which of the
//         two it skips. h5py cannot show JPEG chunks (OSError: it finds no such filter; the zstd
//         ones it can), but `dataset.id.read_direct_chunk((i, 0, 0, 0))` gives the JPEG file.
// Bytes have no use for HDF5's shuffle filter.
namespace stylescope {

enum class Storage : uint8_t { none, lz4, zstd, jpeg };
std::string to_string(Storage storage);

constexpr int kLz4Filter = 32004;
constexpr int kZstdFilter = 32015;
constexpr int kJpegFilter = 305;
inline constexpr const char* kJpegFilterName = "stylescope jpeg (planar RGB)";

struct ChunkFilter {
  int id = 0;
  std::vector<unsigned> values;  // HDF5's "client data", in the file beside the id
};
// The filters of a data set of (channels, height, width) images, in the order in which writing
// applies them. level: zstd's, -7 (fast) .. 19 (small).
std::vector<ChunkFilter> chunk_filters(Storage storage, int level, int64_t channels, int64_t height,
                                       int64_t width);

struct EncodedImage {
  torch::Tensor bytes;       // (n) uint8, CPU: the chunk. none: the pixels themselves, not a copy
  uint32_t filter_mask = 0;  // HDF5's: bit i is set where filter i is skipped
  Storage storage = Storage::none;
  std::vector<int64_t> shape;  // (C, H, W)
  uint64_t checksum = 0;       // of bytes and filter_mask, to tell one chunk from another
};

// pixels: (C, H, W) uint8. Storage::jpeg: by zstd (nothing is made JPEG here).
EncodedImage encode_image(const torch::Tensor& pixels, Storage storage, int level = 1);
// For Storage::jpeg: a whole JPEG file (Slide::stored_jpeg), kept as it is. Throws Error when it
// has no JPEG header.
EncodedImage keep_jpeg(std::string_view file);

// Of one thread; reuse it.
class ChunkDecoder {
 public:
  ChunkDecoder();
  ~ChunkDecoder();
  ChunkDecoder(const ChunkDecoder&) = delete;
  ChunkDecoder& operator=(const ChunkDecoder&) = delete;

  // Does it know these filters?
  static bool knows(const std::vector<int>& filters);
  // out: channels * height * width bytes. Throws Error "the ... data is damaged (...)", without a
  // file name: the caller knows it.
  void decode(const std::vector<int>& filters, uint32_t filter_mask, std::span<const uint8_t> bytes,
              int64_t channels, int64_t height, int64_t width, uint8_t* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One filter, as HDF5 runs it over bytes of any length. `values`: its client data.
torch::Tensor encode_filter(int filter, int level, const torch::Tensor& bytes);
torch::Tensor decode_filter(int filter, std::span<const unsigned> values,
                            const torch::Tensor& bytes);

}  // namespace stylescope
