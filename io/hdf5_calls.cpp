#include "io/hdf5_calls.hpp"

namespace stylescope::hdf5 {

std::string innermost_message() {
  std::string message;
  const auto take = [](unsigned n, const H5E_error2_t* error, void* text) -> herr_t {
    if (n == 0 && error->desc) *static_cast<std::string*>(text) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &message);
  const std::string marker = "error message = '";
  if (const size_t begin = message.find(marker); begin != std::string::npos) {
    const size_t end = message.find('\'', begin + marker.size());
    message = message.substr(begin + marker.size(), end - begin - marker.size());
  }
  return message.empty() ? "HDF5 gives no reason" : message;
}

void fail(const Origin& origin, const std::string& problem) {
  throw Error(origin.file + ": " + problem + " (" + innermost_message() + "); " + origin.advice);
}

hid_t native_type(torch::Dtype dtype) {
  if (dtype == torch::kUInt8) return H5T_NATIVE_UINT8;
  if (dtype == torch::kInt64) return H5T_NATIVE_INT64;
  if (dtype == torch::kFloat32) return H5T_NATIVE_FLOAT;
  SS_CHECK(dtype == torch::kFloat64, "no HDF5 type for ", torch::toString(dtype));
  return H5T_NATIVE_DOUBLE;
}

std::vector<hsize_t> extents(const std::vector<int64_t>& shape) {
  return {shape.begin(), shape.end()};
}

Handle text_type() {
  Handle type = own<H5Tclose>(H5Tcopy(H5T_C_S1));
  SS_CHECK(H5Tset_size(type.get(), H5T_VARIABLE) >= 0 &&
           H5Tset_cset(type.get(), H5T_CSET_UTF8) >= 0);
  return type;
}

Handle space_of(const std::vector<int64_t>& shape, bool growing) {
  const auto dims = extents(shape);
  auto most = dims;
  if (growing) most[0] = H5S_UNLIMITED;
  Handle space =
      own<H5Sclose>(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), most.data()));
  SS_CHECK(space.ok());
  return space;
}

void select_rows(const Handle& space, int64_t first, const std::vector<int64_t>& part) {
  std::vector<hsize_t> start(part.size(), 0);
  start[0] = first;
  SS_CHECK(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr,
                               extents(part).data(), nullptr) >= 0);
}

std::string words(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (const int64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + (extent < 0 ? "any" : std::to_string(extent));
  return text + ")";
}

}  // namespace stylescope::hdf5
