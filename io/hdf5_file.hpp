#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// HDF5 for the files of this folder (image_set, pair_set, explanation_set); nobody else includes
// it. hdf5.h enters in hdf5_*.cpp alone. Every failure throws Error "file: problem (HDF5's
// innermost message); advice". Files have no lock (locks fail on NFS and Lustre) and no time stamps
// (the same content gives the same bytes). Not from two threads at once, not even different files.
namespace stylescope::hdf5 {

// An HDF5 identifier and the function that gives it back. The destructor ignores failure;
// File::close() reports it.
class Handle {
 public:
  using Close = int (*)(int64_t);
  Handle() = default;
  Handle(int64_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { reset(); }
  int64_t get() const { return id_; }
  bool ok() const { return id_ >= 0; }
  int reset() { return ok() ? close_(std::exchange(id_, -1)) : 0; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// Which file an error is about, and what the user can do about it ("run the ingest stage again").
struct Origin {
  std::string file;
  std::string advice;
};

// Where a row of a data set lies in its file.
struct RowPlace {
  int64_t address = -1;      // of its first byte; -1: never written, which reads as zeros
  uint32_t bytes = 0;        // as stored
  uint32_t filter_mask = 0;  // bit i: filter i was skipped
};

// A step between a chunk's values and its bytes in the file, by the id that HDF5 knows it by.
struct Filter {
  int id = 0;
  std::vector<unsigned> values;
};

class Dataset {
 public:
  // Extents; the first is the number of rows.
  const std::vector<int64_t>& shape() const { return shape_; }
  // How its elements are given back: uint8, int64, float32 or float64 (other integers are widened
  // to int64).
  torch::Dtype dtype() const { return dtype_; }

  void resize(int64_t rows);
  // rows: (n, ...) with this data set's dtype, CPU.
  void write_rows(int64_t first, const torch::Tensor& rows);
  // For data sets with filters: one row as a chunk that the filters already ran over.
  void write_chunk(int64_t row, const torch::Tensor& bytes, uint32_t filter_mask);
  torch::Tensor read() const;
  // (n, ...) in the order of `indices`, which must lie in 0..rows-1.
  torch::Tensor read_rows(at::ArrayRef<int64_t> indices) const;
  // Is it made of other files' data sets?
  bool is_virtual() const;
  // The filters' ids, in the order in which writing applies them.
  std::vector<int> filters() const;
  // Every row's place, for reading past HDF5; in 0.3 us a row. Nothing when the rows do
  // not lie one by one as whole bytes (several rows a chunk, a virtual data set). Only of a file
  // that was opened to be read.
  std::optional<std::vector<RowPlace>> places() const;
  // (count, ...): rows that follow each other, in one call, so that a chunk of many rows is
  // decompressed once.
  torch::Tensor read_range(int64_t first, int64_t count) const;

  // Attributes of the data set. Numbers: a scalar or a list, integers of any size or floats.
  void write_attribute(const std::string& name, const std::string& value);
  void write_attribute(const std::string& name, int64_t value);
  void write_attribute(const std::string& name, double value);
  void write_attribute(const std::string& name, const std::vector<int64_t>& values);
  void write_attribute(const std::string& name, const std::vector<double>& values);
  // Nothing where there is no such attribute, or it is of the other kind. Texts of fixed and of
  // variable length.
  std::optional<std::vector<double>> number_attribute(const std::string& name) const;
  std::optional<std::string> text_attribute(const std::string& name) const;

 private:
  friend class File;
  Dataset(Handle id, std::string name, std::shared_ptr<const Origin> origin);
  void transfer(int64_t first, int64_t count, void* into, const void* from) const;
  std::vector<RowPlace> contiguous_places(int64_t row_bytes) const;
  std::vector<RowPlace> chunk_places() const;
  void write_attribute(const std::string& name, int64_t type, int64_t count, const void* value);
  Handle open_attribute(const std::string& name) const;
  std::string where() const { return "data set '" + name_ + "'"; }

  Handle id_;
  std::string name_;
  std::shared_ptr<const Origin> origin_;
  std::vector<int64_t> shape_;
  torch::Dtype dtype_ = torch::kUInt8;
  bool row_chunks_ =
      false;  // one row a chunk, as raw bytes: read and written past HDF5's chunk cache
};

// One source of a virtual data set: `rows` rows of the equally named data set of `file` (a name
// beside the virtual file).
struct VirtualSource {
  std::string file;
  int64_t rows = 0;
};

class File {
 public:
  // Replaces what is there. alignment: what has at least that many bytes starts at a multiple of
  // it.
  static File create(const std::filesystem::path& file, std::string advice, int64_t alignment = 1);
  // Read only.
  static File open(const std::filesystem::path& file, std::string advice);

  // Throws Error when something could not be written; its data sets must be gone before.
  void close();

  bool contains(const std::string& name) const;
  std::vector<std::string> names_in(const std::string& group) const;

  Dataset dataset(const std::string& name) const;
  // Growing, one row a chunk: what is read row by row in random order. With filters (HDF5 must
  // know them) rows are written by write_chunk.
  Dataset create_rows(const std::string& name, torch::Dtype dtype, std::vector<int64_t> row_shape,
                      const std::vector<Filter>& filters = {});
  Dataset create_fixed(const std::string& name, torch::Dtype dtype,
                       const std::vector<int64_t>& shape);
  void create_virtual(const std::string& name, torch::Dtype dtype, std::vector<int64_t> row_shape,
                      const std::vector<VirtualSource>& sources);

  void write(const std::string& name, const torch::Tensor& tensor);
  // Throws Error unless the data set has this shape (-1: any extent); converted to `dtype`.
  torch::Tensor read(const std::string& name, torch::Dtype dtype, std::vector<int64_t> shape) const;
  void write_strings(const std::string& name, const std::vector<std::string>& values);
  std::vector<std::string> read_strings(const std::string& name) const;
  // Of the root, or "group/name" of a group.
  void write_attribute(const std::string& name, const std::string& value);
  std::string read_text_attribute(const std::string& name) const;
  bool has_attribute(const std::string& name) const;

  // Root attributes `format` and `version`, by which a reader knows what it has before it.
  // check_format throws Error for another format or a newer version.
  void write_format(const std::string& format, int64_t version);
  void check_format(const std::string& format, int64_t newest_version) const;

 private:
  File(Handle id, std::shared_ptr<const Origin> origin);
  void make_groups_of(const std::string& name);
  Dataset create(const std::string& name, int64_t type, const std::vector<int64_t>& shape,
                 int64_t creation);
  void write_attribute(const std::string& name, int64_t type, const void* value);
  void read_attribute(const std::string& name, int64_t type, void* value) const;

  Handle id_;
  std::shared_ptr<const Origin> origin_;
};

}  // namespace stylescope::hdf5
