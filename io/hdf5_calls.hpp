#pragma once

#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"

#include <hdf5.h>

// How io/hdf5_*.cpp call HDF5: handles that close themselves, failures that throw. For those files
// alone.
namespace stylescope::hdf5 {

static_assert(sizeof(hid_t) == sizeof(int64_t));

template <herr_t (*close)(hid_t)>
Handle own(hid_t id) {
  return Handle(id, [](int64_t handle) -> int { return close(handle); });
}

// HDF5's words for the error that happened first; of a failed system call, the system's words.
std::string innermost_message();
[[noreturn]] void fail(const Origin& origin, const std::string& problem);

// Passes what is good on, or throws.
inline void checked(herr_t status, const Origin& origin, const std::string& problem) {
  if (status < 0) fail(origin, problem);
}
inline Handle checked(Handle handle, const Origin& origin, const std::string& problem) {
  if (!handle.ok()) fail(origin, problem);
  return handle;
}

hid_t native_type(torch::Dtype dtype);
Handle text_type();  // variable-length UTF-8
std::vector<hsize_t> extents(const std::vector<int64_t>& shape);
Handle space_of(const std::vector<int64_t>& shape, bool growing = false);
void select_rows(const Handle& space, int64_t first, const std::vector<int64_t>& part);
// "(3, any)"
std::string words(const std::vector<int64_t>& shape);

// A driver (HDF5's word for what reads and writes a file's bytes) for files that are only read. It
// is made of pread, and can tell where in the file HDF5 goes for raw data. See Dataset::places().
hid_t reading_driver();

// What the driver says while it is told to listen: the bytes that HDF5 asked for instead of reading
// them.
class ReadListener {
 public:
  // `file`: an open file of the reading driver.
  explicit ReadListener(hid_t file);
  ~ReadListener();
  ReadListener(const ReadListener&) = delete;
  ReadListener& operator=(const ReadListener&) = delete;
  // The latest request for raw data.
  const RowPlace& heard() const { return place_; }

 private:
  RowPlace** slot_ = nullptr;
  RowPlace place_;
};

// Makes HDF5 know the filters of io/chunk_codec.hpp, so that its own ways of reading (hyperslabs,
// virtual data sets) can decode them too.
void register_filters();

}  // namespace stylescope::hdf5
