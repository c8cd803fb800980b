#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// HDF5 for the files of this folder (image_set, pair_set, explanation_set); nobody else includes
// it. hdf5.h enters in hdf5_file.cpp alone. Every failure throws Error "file: problem (HDF5's
// innermost message); advice". Files have no lock (locks fail on NFS and Lustre) and no time stamps
// (the same content gives the same bytes). Not from two threads at once.
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
  torch::Tensor read() const;
  // (n, ...) in the order of `indices`, which must lie in 0..rows-1.
  torch::Tensor read_rows(at::ArrayRef<int64_t> indices) const;

 private:
  friend class File;
  Dataset(Handle id, std::string name, std::shared_ptr<const Origin> origin);
  void transfer(int64_t first, int64_t count, void* into, const void* from) const;
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
  // Replaces what is there.
  static File create(const std::filesystem::path& file, std::string advice);
  // Read only.
  static File open(const std::filesystem::path& file, std::string advice);

  // Throws Error when something could not be written; its data sets must be gone before.
  void close();

  bool contains(const std::string& name) const;
  std::vector<std::string> names_in(const std::string& group) const;

  Dataset dataset(const std::string& name) const;
  // Growing, one row a chunk, uncompressed: what is read row by row in random order.
  Dataset create_rows(const std::string& name, torch::Dtype dtype, std::vector<int64_t> row_shape);
  Dataset create_fixed(const std::string& name, torch::Dtype dtype,
                       const std::vector<int64_t>& shape);
  void create_virtual(const std::string& name, torch::Dtype dtype, std::vector<int64_t> row_shape,
                      const std::vector<VirtualSource>& sources);

  void write(const std::string& name, const torch::Tensor& tensor);
  // Throws Error unless the data set has this shape (-1: any extent); converted to `dtype`.
  torch::Tensor read(const std::string& name, torch::Dtype dtype, std::vector<int64_t> shape) const;
  void write_strings(const std::string& name, const std::vector<std::string>& values);
  std::vector<std::string> read_strings(const std::string& name) const;
  void write_attribute(const std::string& name, const std::string& value);
  std::string read_text_attribute(const std::string& name) const;

  // Root attributes `format` and `version`, by which a reader knows what it has before it.
  // check_format throws Error for another format or a newer version.
  void write_format(const std::string& format, int64_t version);
  void check_format(const std::string& format, int64_t newest_version) const;

 private:
  File(Handle id, std::shared_ptr<const Origin> origin);
  Dataset create(const std::string& name, int64_t type, const std::vector<int64_t>& shape,
                 int64_t creation);
  void write_attribute(const std::string& name, int64_t type, const void* value);
  void read_attribute(const std::string& name, int64_t type, void* value) const;

  Handle id_;
  std::shared_ptr<const Origin> origin_;
};

}  // namespace stylescope::hdf5
