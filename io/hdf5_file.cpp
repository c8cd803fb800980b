#include "io/hdf5_calls.hpp"

namespace stylescope::hdf5 {
namespace {

Handle creation_list(hid_t kind) {
  Handle list = own<H5Pclose>(H5Pcreate(kind));
  SS_CHECK(list.ok() && H5Pset_obj_track_times(list.get(), false) >= 0);
  return list;
}

Handle access_list() {
  // HDF5's clean-up at exit crashes after a close that failed on a full disk.
  [[maybe_unused]] static const herr_t once = H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // errors are thrown, not printed
  Handle list = own<H5Pclose>(H5Pcreate(H5P_FILE_ACCESS));
  SS_CHECK(list.ok() && H5Pset_file_locking(list.get(), false, true) >= 0 &&
           H5Pset_libver_bounds(list.get(), H5F_LIBVER_V110, H5F_LIBVER_LATEST) >= 0);
  register_filters();
  return list;
}

// "group/name": the group, and the attribute's name in it.
std::pair<std::string, std::string> split_attribute(const std::string& name) {
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) return {".", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace

File::File(Handle id, std::shared_ptr<const Origin> origin)
    : id_(std::move(id)), origin_(std::move(origin)) {}

File File::create(const std::filesystem::path& file, std::string advice, int64_t alignment) {
  auto origin = std::make_shared<const Origin>(Origin{file.string(), std::move(advice)});
  const Handle access = access_list();
  const auto bytes = static_cast<hsize_t>(alignment);
  SS_CHECK(H5Pset_alignment(access.get(), bytes, bytes) >= 0);
  const Handle creation = creation_list(H5P_FILE_CREATE);
  Handle id = own<H5Fclose>(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
  return File(checked(std::move(id), *origin, "cannot be created"), std::move(origin));
}

File File::open(const std::filesystem::path& file, std::string advice) {
  auto origin = std::make_shared<const Origin>(Origin{file.string(), std::move(advice)});
  validate(std::filesystem::exists(file), file.string(), ": does not exist; ", origin->advice);
  const Handle access = access_list();
  SS_CHECK(H5Pset_driver(access.get(), reading_driver(), nullptr) >= 0);
  Handle id = own<H5Fclose>(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!id.ok()) {
    const std::string reason = innermost_message();
    validate(H5Fis_hdf5(file.c_str()) != 0, origin->file, ": is no HDF5 file; ", origin->advice);
    const char* problem = reason.find("truncated") == std::string::npos
                              ? ": cannot be opened as HDF5 ("
                              : ": is cut off (";
    throw Error(origin->file + problem + reason + "); " + origin->advice);
  }
  return File(std::move(id), std::move(origin));
}

void File::close() {
  const herr_t flushed = H5Fflush(id_.get(), H5F_SCOPE_GLOBAL);
  const std::string reason = innermost_message();
  const int closed = id_.reset();
  validate(flushed >= 0 && closed >= 0, origin_->file, ": cannot be written (", reason, "); ",
           origin_->advice);
}

bool File::contains(const std::string& name) const {
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (H5Lexists(id_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  return H5Lexists(id_.get(), name.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> File::names_in(const std::string& group) const {
  std::vector<std::string> names;
  if (!contains(group)) return names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->emplace_back(name);
    return 0;
  };
  checked(H5Literate_by_name(id_.get(), group.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add,
                             &names, H5P_DEFAULT),
          *origin_, "group '" + group + "' cannot be listed");
  return names;
}

Dataset File::dataset(const std::string& name) const {
  validate(contains(name), origin_->file, ": data set '", name, "' is missing; ", origin_->advice);
  Handle id = own<H5Dclose>(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT));
  return Dataset(checked(std::move(id), *origin_, "data set '" + name + "' cannot be opened"), name,
                 origin_);
}

// The groups on the way are made here: those that HDF5 would make carry the time, and then the same
// content would not give the same bytes.
void File::make_groups_of(const std::string& name) {
  const Handle group = creation_list(H5P_GROUP_CREATE);
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (const std::string above = name.substr(0, slash); !contains(above))
      checked(own<H5Gclose>(
                  H5Gcreate2(id_.get(), above.c_str(), H5P_DEFAULT, group.get(), H5P_DEFAULT)),
              *origin_, "group '" + above + "' cannot be created");
}

Dataset File::create(const std::string& name, int64_t type, const std::vector<int64_t>& shape,
                     int64_t creation) {
  make_groups_of(name);
  const Handle space = space_of(shape, H5Pget_layout(creation) == H5D_CHUNKED);
  Handle id = own<H5Dclose>(
      H5Dcreate2(id_.get(), name.c_str(), type, space.get(), H5P_DEFAULT, creation, H5P_DEFAULT));
  return Dataset(checked(std::move(id), *origin_, "data set '" + name + "' cannot be created"),
                 name, origin_);
}

Dataset File::create_rows(const std::string& name, torch::Dtype dtype,
                          std::vector<int64_t> row_shape, const std::vector<Filter>& filters) {
  const Handle creation = creation_list(H5P_DATASET_CREATE);
  // Optional: HDF5 itself could not write JPEG, and skips then what fails.
  for (const auto& filter : filters)
    checked(H5Pset_filter(creation.get(), filter.id, H5Z_FLAG_OPTIONAL, filter.values.size(),
                          filter.values.data()),
            *origin_, "HDF5 does not take filter " + std::to_string(filter.id));
  row_shape.insert(row_shape.begin(), 1);
  const auto chunk = extents(row_shape);
  SS_CHECK(H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()) >= 0);
  row_shape[0] = 0;
  return create(name, native_type(dtype), row_shape, creation.get());
}

Dataset File::create_fixed(const std::string& name, torch::Dtype dtype,
                           const std::vector<int64_t>& shape) {
  return create(name, native_type(dtype), shape, creation_list(H5P_DATASET_CREATE).get());
}

void File::create_virtual(const std::string& name, torch::Dtype dtype,
                          std::vector<int64_t> row_shape,
                          const std::vector<VirtualSource>& sources) {
  auto shape = std::move(row_shape);
  shape.insert(shape.begin(), 0);
  for (const auto& source : sources) shape[0] += source.rows;
  const Handle creation = creation_list(H5P_DATASET_CREATE);
  int64_t first = 0;
  for (const auto& source : sources) {
    if (source.rows == 0) continue;
    auto part = shape;
    part[0] = source.rows;
    const Handle all = space_of(shape);
    const Handle from = space_of(part);
    select_rows(all, first, part);
    checked(
        H5Pset_virtual(creation.get(), all.get(), source.file.c_str(), name.c_str(), from.get()),
        *origin_, "virtual data set '" + name + "' cannot be made of '" + source.file + "'");
    first += source.rows;
  }
  create(name, native_type(dtype), shape, creation.get());
}

void File::write(const std::string& name, const torch::Tensor& tensor) {
  Dataset target = create_fixed(name, tensor.scalar_type(), tensor.sizes().vec());
  if (tensor.numel() > 0) target.write_rows(0, tensor);
}

torch::Tensor File::read(const std::string& name, torch::Dtype dtype,
                         std::vector<int64_t> shape) const {
  const Dataset source = dataset(name);
  bool fits = source.shape().size() == shape.size();
  for (size_t axis = 0; fits && axis < shape.size(); ++axis)
    fits = shape[axis] < 0 || shape[axis] == source.shape()[axis];
  validate(fits, origin_->file, ": data set '", name, "' has shape ", words(source.shape()),
           ", not ", words(shape), "; ", origin_->advice);
  return source.read().to(dtype);
}

void File::write_strings(const std::string& name, const std::vector<std::string>& values) {
  std::vector<const char*> pointers;
  for (const auto& value : values) pointers.push_back(value.c_str());
  const Handle creation = creation_list(H5P_DATASET_CREATE);
  const Handle type = text_type();
  const Dataset target =
      create(name, type.get(), {static_cast<int64_t>(values.size())}, creation.get());
  if (values.empty()) return;
  checked(H5Dwrite(target.id_.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()),
          *origin_, "data set '" + name + "' cannot be written");
}

std::vector<std::string> File::read_strings(const std::string& name) const {
  const Dataset source = dataset(name);
  const Handle type = own<H5Tclose>(H5Dget_type(source.id_.get()));
  validate(H5Tis_variable_str(type.get()) > 0 && source.shape_.size() == 1, origin_->file,
           ": data set '", name, "' is no list of variable-length texts; ", origin_->advice);
  const auto count = static_cast<size_t>(source.shape_[0]);
  std::vector<std::string> values(count);
  if (count == 0) return values;
  std::vector<char*> texts(count, nullptr);
  checked(H5Dread(source.id_.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()),
          *origin_, "data set '" + name + "' cannot be read");
  for (size_t i = 0; i < count; ++i) values[i] = texts[i] ? texts[i] : "";
  const Handle space = space_of(source.shape_);
  H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, texts.data());
  return values;
}

void File::write_attribute(const std::string& name, int64_t type, const void* value) {
  make_groups_of(name);
  const Handle space = own<H5Sclose>(H5Screate(H5S_SCALAR));
  const std::string problem = "attribute '" + name + "' cannot be written";
  const auto [object, plain] = split_attribute(name);
  const Handle id =
      checked(own<H5Aclose>(H5Acreate_by_name(id_.get(), object.c_str(), plain.c_str(), type,
                                              space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)),
              *origin_, problem);
  checked(H5Awrite(id.get(), type, value), *origin_, problem);
}

void File::read_attribute(const std::string& name, int64_t type, void* value) const {
  validate(has_attribute(name), origin_->file, ": attribute '", name, "' is missing; ",
           origin_->advice);
  const auto [object, plain] = split_attribute(name);
  const Handle id = own<H5Aclose>(
      H5Aopen_by_name(id_.get(), object.c_str(), plain.c_str(), H5P_DEFAULT, H5P_DEFAULT));
  checked(H5Aread(id.get(), type, value), *origin_, "attribute '" + name + "' cannot be read");
}

bool File::has_attribute(const std::string& name) const {
  const auto [object, plain] = split_attribute(name);
  return (object == "." || contains(object)) &&
         H5Aexists_by_name(id_.get(), object.c_str(), plain.c_str(), H5P_DEFAULT) > 0;
}

void File::write_attribute(const std::string& name, const std::string& value) {
  const char* text = value.c_str();
  write_attribute(name, text_type().get(), &text);
}

std::string File::read_text_attribute(const std::string& name) const {
  char* text = nullptr;
  read_attribute(name, text_type().get(), &text);
  std::string value = text ? text : "";
  H5free_memory(text);
  return value;
}

void File::write_format(const std::string& format, int64_t version) {
  write_attribute("format", format);
  write_attribute("version", H5T_NATIVE_INT64, &version);
}

void File::check_format(const std::string& format, int64_t newest_version) const {
  const std::string found = read_text_attribute("format");
  validate(found == format, origin_->file, ": holds '", found, "', not '", format, "'; ",
           origin_->advice);
  int64_t version = 0;
  read_attribute("version", H5T_NATIVE_INT64, &version);
  validate(version >= 1 && version <= newest_version, origin_->file, ": has format version ",
           version, " (this program knows up to ", newest_version,
           "); use the program that wrote it, or ", origin_->advice);
}

}  // namespace stylescope::hdf5
