#include "io/chunk_codec.hpp"
#include "io/hdf5_calls.hpp"

#include <cstring>

namespace stylescope::hdf5 {
namespace {

// HDF5's buffers come from its own allocator.
void replace(void** buffer, size_t* capacity, const torch::Tensor& bytes) {
  void* fresh = H5allocate_memory(bytes.nbytes(), false);
  if (!fresh) throw Error("memory is full");
  std::memcpy(fresh, bytes.data_ptr(), bytes.nbytes());
  H5free_memory(*buffer);
  *buffer = fresh;
  *capacity = bytes.nbytes();
}

// A filter as HDF5 calls it: gives the size of what it put into the buffer, 0 for failure. Nothing
// may be thrown through HDF5's C code. `values`: the bytes of a decoded chunk, then its channels,
// height and width where the codec needs them (see chunk_filters).
template <int filter>
size_t run_filter(unsigned flags, size_t count, const unsigned* values, size_t bytes,
                  size_t* capacity, void** buffer) {
  try {
    auto data = torch::from_blob(*buffer, {static_cast<int64_t>(bytes)}, torch::kUInt8);
    torch::Tensor result;
    if (flags & H5Z_FLAG_REVERSE) {
      result = decode_filter(filter, {values, count}, data);
    } else {
      validate(filter != kJpegFilter, "pictures are not made JPEG here, JPEG streams are kept");
      result = encode_filter(filter, count > 0 ? static_cast<int>(values[0]) : 0, data);
    }
    replace(buffer, capacity, result);
    return result.nbytes();
  } catch (const std::exception& error) {
    H5Epush2(H5E_DEFAULT, __FILE__, "run_filter", __LINE__, H5E_ERR_CLS, H5E_PLINE, H5E_CANTFILTER,
             "%s", error.what());
    return 0;
  }
}

template <int filter>
void register_one(const char* name) {
  const H5Z_class2_t entry{H5Z_CLASS_T_VERS,  filter, 1, 1, name, nullptr, nullptr,
                           run_filter<filter>};
  SS_CHECK(H5Zregister(&entry) >= 0, innermost_message());
}

}  // namespace

void register_filters() {
  register_one<kLz4Filter>("LZ4");
  register_one<kZstdFilter>("Zstandard");
  register_one<kJpegFilter>(kJpegFilterName);
}

}  // namespace stylescope::hdf5
