#include "io/base/error.hpp"
#include "io/hdf5_calls.hpp"

#include <algorithm>

namespace stylescope::hdf5 {

torch::Tensor Dataset::read_range(int64_t first, int64_t count) const {
  SS_CHECK(first >= 0 && count >= 0 && first + count <= shape_[0], name_, " has ", shape_[0],
           " rows; asked for ", count, " from ", first);
  auto shape = shape_;
  shape[0] = count;
  torch::Tensor out = torch::empty(shape, dtype_);
  if (out.numel() > 0) transfer(first, count, out.data_ptr(), nullptr);
  return out;
}

// count -1: a scalar.
void Dataset::write_attribute(const std::string& name, int64_t type, int64_t count,
                              const void* value) {
  const Handle space = count < 0 ? own<H5Sclose>(H5Screate(H5S_SCALAR)) : space_of({count});
  const std::string problem = where() + ": attribute '" + name + "' cannot be written";
  const Handle id = checked(own<H5Aclose>(H5Acreate2(id_.get(), name.c_str(), type, space.get(),
                                                     H5P_DEFAULT, H5P_DEFAULT)),
                            *origin_, problem);
  checked(H5Awrite(id.get(), type, value), *origin_, problem);
}

void Dataset::write_attribute(const std::string& name, const std::string& value) {
  const char* text = value.c_str();
  write_attribute(name, text_type().get(), -1, &text);
}
void Dataset::write_attribute(const std::string& name, int64_t value) {
  write_attribute(name, H5T_NATIVE_INT64, -1, &value);
}
void Dataset::write_attribute(const std::string& name, double value) {
  write_attribute(name, H5T_NATIVE_DOUBLE, -1, &value);
}
void Dataset::write_attribute(const std::string& name, const std::vector<int64_t>& values) {
  write_attribute(name, H5T_NATIVE_INT64, std::ssize(values), values.data());
}
void Dataset::write_attribute(const std::string& name, const std::vector<double>& values) {
  write_attribute(name, H5T_NATIVE_DOUBLE, std::ssize(values), values.data());
}

Handle Dataset::open_attribute(const std::string& name) const {
  if (H5Aexists(id_.get(), name.c_str()) <= 0) return {};
  return checked(own<H5Aclose>(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT)), *origin_,
                 where() + ": attribute '" + name + "' cannot be opened");
}

std::optional<std::vector<double>> Dataset::number_attribute(const std::string& name) const {
  const Handle id = open_attribute(name);
  if (!id.ok()) return std::nullopt;
  const Handle type = own<H5Tclose>(H5Aget_type(id.get()));
  const H5T_class_t kind = H5Tget_class(type.get());
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) return std::nullopt;
  const Handle space = own<H5Sclose>(H5Aget_space(id.get()));
  std::vector<double> values(std::max<hssize_t>(H5Sget_simple_extent_npoints(space.get()), 0));
  if (!values.empty())
    checked(H5Aread(id.get(), H5T_NATIVE_DOUBLE, values.data()), *origin_,
            where() + ": attribute '" + name + "' cannot be read");
  return values;
}

std::optional<std::string> Dataset::text_attribute(const std::string& name) const {
  const Handle id = open_attribute(name);
  if (!id.ok()) return std::nullopt;
  const Handle type = own<H5Tclose>(H5Aget_type(id.get()));
  const Handle space = own<H5Sclose>(H5Aget_space(id.get()));
  if (H5Tget_class(type.get()) != H5T_STRING || H5Sget_simple_extent_npoints(space.get()) != 1)
    return std::nullopt;
  const std::string problem = where() + ": attribute '" + name + "' cannot be read";
  if (H5Tis_variable_str(type.get()) <= 0) {
    std::string text(H5Tget_size(type.get()), '\0');
    checked(H5Aread(id.get(), type.get(), text.data()), *origin_, problem);
    return text.substr(0, text.find('\0'));
  }
  char* text = nullptr;
  checked(H5Aread(id.get(), type.get(), &text), *origin_, problem);
  std::string value = text ? text : "";
  H5free_memory(text);
  return value;
}

}  // namespace stylescope::hdf5
