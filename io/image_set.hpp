#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// images.h5: every image of a run, uint8, with what is known of it. Written once by ingest (or
// tile), read by all.
//   /images     (N, C, H, W) uint8, one image a chunk, uncompressed
//   /label      (N) int64, index into /label_names        /split  (N) uint8: 0 train, 1 val, 2 test
//   /subject    (N) variable-length UTF-8 string           /path   (N) where the image came from
//   /label_names (K) strings                               /attributes/<name> (N) float64 (NaN:
//   unknown) root attributes: format "stylescope.images", version, source (JSON text: how it was
//   made)
namespace stylescope {

enum class Split : uint8_t { train = 0, val = 1, test = 2 };
std::string to_string(Split split);

struct ImageRecord {
  int64_t label = 0;
  Split split = Split::train;
  std::string subject;
  std::string path;
  std::map<std::string, double> attributes;  // the same names in every record
};

class ImageSetWriter {
 public:
  // The file appears under its name when close() returns, not before.
  ImageSetWriter(std::filesystem::path file, int64_t channels, int64_t height, int64_t width,
                 std::vector<std::string> label_names, std::string source_json);
  ~ImageSetWriter();
  // pixels: (C, H, W) uint8, contiguous.
  void append(const torch::Tensor& pixels, const ImageRecord& record);
  // Throws Error when a subject stands in two splits, or there are no images.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class ImageSet {
 public:
  // Throws Error: file, what is wrong (no HDF5, cut off, a data set missing or of another length, a
  // subject in two splits).
  explicit ImageSet(const std::filesystem::path& file);
  ~ImageSet();
  ImageSet(ImageSet&&) noexcept;
  ImageSet& operator=(ImageSet&&) noexcept;

  int64_t size() const;
  int64_t channels() const;
  int64_t height() const;
  int64_t width() const;
  const std::vector<std::string>& label_names() const;
  const ImageRecord& record(int64_t index) const;
  const std::string& source_json() const;
  // Indices of a split, ascending. Stages other than evaluate and explain never ask for
  // Split::test.
  std::vector<int64_t> indices(Split split) const;
  // (n, C, H, W) uint8, CPU. Not from two threads at once.
  torch::Tensor read(at::ArrayRef<int64_t> indices) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stylescope
