#pragma once

#include "io/chunk_codec.hpp"

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// images.h5: every image of a run, uint8, with what is known of it. Written once by ingest (or
// tile), read by all.
//   /images     (N, C, H, W) uint8, one image a chunk: plain, or by a filter of io/chunk_codec.hpp;
//               or a virtual data set over shards (io/image_index.hpp)
//   /label      (N) int64, index into /label_names        /split  (N) uint8: 0 train, 1 val, 2 test
//   /subject    (N) variable-length UTF-8 string           /path   (N) where the image came from
//   /slide      (N) strings, /coords (N, 2) float64 x, y: only where an image has a slide
//   /label_names (K) strings
//   /attributes/<name> (N) float64 (NaN: unknown); of texts the row of its text in
//   /attribute_names/<name> (K) strings
//   /tile/...   what the writer added: data sets, and attributes of this group
// Root attributes: format "stylescope.images", version (1: no slide, coords, tile, id, filters),
// source (JSON text: how it was made), id (tells this content from any other).
namespace stylescope {

enum class Split : uint8_t { train = 0, val = 1, test = 2 };
std::string to_string(Split split);

struct ImageRecord {
  int64_t label = 0;
  Split split = Split::train;
  std::string subject;
  std::string path;
  std::map<std::string, double> attributes;  // the same names in every record
  std::string slide{};                       // "": a picture of its own
  // Top left corner in the slide, in level 0 pixels; NaN: none.
  double x = std::numeric_limits<double>::quiet_NaN();
  double y = std::numeric_limits<double>::quiet_NaN();
};

struct ImageSetOptions {
  Storage storage = Storage::none;
  int level = 1;       // of zstd
  bool shard = false;  // one of several files: may have no images
};

class ImageSetWriter {
 public:
  // The file appears under its name when close() returns, not before.
  ImageSetWriter(std::filesystem::path file, int64_t channels, int64_t height, int64_t width,
                 std::vector<std::string> label_names, std::string source_json,
                 const ImageSetOptions& options = {});
  ~ImageSetWriter();
  // image: of the options' storage (encoded on any thread, appended on one).
  void append(const EncodedImage& image, const ImageRecord& record);
  // pixels: (C, H, W) uint8; encoded here.
  void append(const torch::Tensor& pixels, const ImageRecord& record);
  // More to keep beside the images, as /tile/<name>; each name once. uint8, int64, float32 or
  // float64, of one axis or more.
  void add_table(const std::string& name, const torch::Tensor& values);
  void add_strings(const std::string& name, const std::vector<std::string>& values);
  void set_attribute(const std::string& name, const std::string& text);
  // The rows that were appended so far: (n, C, H, W) uint8. Of Storage::none only.
  torch::Tensor read(at::ArrayRef<int64_t> rows) const;
  // Takes rows out again; those behind move up. Of Storage::none only.
  void leave_out(const std::vector<int64_t>& rows);
  const std::vector<ImageRecord>& records() const;
  // The attribute's numbers stand for these texts: 0 for the first, and so on.
  void name_values(const std::string& attribute, const std::vector<std::string>& names);
  // finish: all is written, and on its way to the disk. publish: waits for that, then gives the
  // file its name. close: both. Throw Error; finish when a subject stands in two splits, or there
  // are no images (and it is no shard).
  void finish();
  void publish();
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Rule 3 of the design holds at run time: a set that is opened for training has no test images to
// give. To ask for them, by indices() or read(), is a bug of ours, and ends the program.
enum class Access : uint8_t { all, training };

class ImageSet {
 public:
  // Throws Error: file, what is wrong (no HDF5, cut off, a data set missing or of another length, a
  // subject in two splits; of a shard: missing, cut off, not the one that was indexed).
  explicit ImageSet(const std::filesystem::path& file, Access access = Access::all);
  ~ImageSet();
  ImageSet(ImageSet&&) noexcept;
  ImageSet& operator=(ImageSet&&) noexcept;

  int64_t size() const;
  int64_t channels() const;
  int64_t height() const;
  int64_t width() const;
  const std::vector<std::string>& label_names() const;
  const ImageRecord& record(int64_t index) const;
  // The texts that an attribute's numbers stand for; empty: they are numbers.
  const std::vector<std::string>& value_names(const std::string& attribute) const;
  // The text of an image's attribute; "" where it is unknown. Throws Error when the attribute holds
  // no texts, or another number than they have.
  std::string text(int64_t index, const std::string& attribute) const;
  const std::string& source_json() const;
  // 64 hex digits that tell this content from any other; "" in files of version 1.
  const std::string& id() const;
  // The files that the images lie in, relative to this one's folder; empty: in this file.
  const std::vector<std::string>& shards() const;
  // Indices of a split, ascending. Stages other than evaluate and explain open the set by
  // Access::training, and never ask for Split::test.
  std::vector<int64_t> indices(Split split) const;
  // (n, C, H, W) uint8, CPU. From any number of threads at once, and beside other users of HDF5:
  // the places of the images are asked of HDF5 once, when the set is opened, and the pixels read
  // past it; many compressed ones by up to at::get_num_threads() threads. Only a file that another
  // program laid out anew (gzip, several images a chunk) is read through HDF5, one batch at a time
  // and not beside other users of HDF5. Throws Error naming the file and the image's row in it when
  // a chunk is damaged.
  torch::Tensor read(at::ArrayRef<int64_t> indices) const;
  // Whether read() does so past HDF5, beside its other users.
  bool reads_past_hdf5() const;

  // What the writer added (/tile/<name>). Not from two threads at once. Throws Error when it is not
  // there.
  torch::Tensor table(const std::string& name) const;
  std::vector<std::string> strings(const std::string& name) const;
  std::string attribute(const std::string& name) const;
  bool has_table(const std::string& name) const;  // or strings
  bool has_attribute(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stylescope
