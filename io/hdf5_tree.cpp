#include "io/hdf5_tree.hpp"

#include "io/hdf5_calls.hpp"

#include <algorithm>

namespace stylescope::hdf5 {
namespace {

std::string type_name(hid_t dataset) {
  const Handle type = own<H5Tclose>(H5Dget_type(dataset));
  const auto bits = std::to_string(8 * H5Tget_size(type.get()));
  switch (H5Tget_class(type.get())) {
    case H5T_INTEGER:
      return (H5Tget_sign(type.get()) == H5T_SGN_NONE ? "uint" : "int") + bits;
    case H5T_FLOAT:
      return "float" + bits;
    case H5T_STRING:
      return "text";
    case H5T_COMPOUND:
      return "compound";
    case H5T_ENUM:
      return "enumeration";
    case H5T_VLEN:
      return "lists";
    case H5T_ARRAY:
      return "arrays";
    default:
      return "other";
  }
}

std::vector<int64_t> shape_of(hid_t dataset) {
  const Handle space = own<H5Sclose>(H5Dget_space(dataset));
  const int axes = H5Sget_simple_extent_ndims(space.get());
  std::vector<hsize_t> extent(static_cast<size_t>(std::max(axes, 0)));
  if (axes > 0) H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr);
  return {extent.begin(), extent.end()};
}

struct Listing {
  size_t most;
  std::vector<Entry> entries;
};

herr_t add(hid_t root, const char* name, const H5L_info_t*, void* list) {
  auto& listing = *static_cast<Listing*>(list);
  const Handle object = own<H5Oclose>(H5Oopen(root, name, H5P_DEFAULT));
  if (!object.ok()) return 0;
  const auto kind = H5Iget_type(object.get());
  Entry entry{name, kind == H5I_GROUP, {}, {}};
  if (kind == H5I_DATASET) {
    entry.shape = shape_of(object.get());
    entry.type = type_name(object.get());
  }
  if (kind == H5I_GROUP || kind == H5I_DATASET) listing.entries.push_back(std::move(entry));
  return listing.entries.size() < listing.most ? 0 : 1;
}

}  // namespace

std::vector<Entry> list_entries(const std::filesystem::path& file, size_t most) {
  const Origin origin{file.string(), "copy it again, or make it anew"};
  const Handle access = own<H5Pclose>(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_file_locking(access.get(), false, true);
  const Handle open = checked(own<H5Fclose>(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.get())),
                              origin, "cannot be opened");
  Listing listing{most, {}};
  checked(H5Lvisit(open.get(), H5_INDEX_NAME, H5_ITER_INC, add, &listing), origin,
          "its groups cannot be listed");
  return std::move(listing.entries);
}

}  // namespace stylescope::hdf5
