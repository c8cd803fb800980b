#include "io/hdf5_file.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cstring>

#include <hdf5.h>

namespace stylescope::hdf5 {
namespace {

static_assert(sizeof(hid_t) == sizeof(int64_t));

template <herr_t (*close)(hid_t)>
Handle own(hid_t id) {
  return Handle(id, [](int64_t handle) -> int { return close(handle); });
}

// HDF5's words for the error that happened first; of a failed system call, the system's words.
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

[[noreturn]] void fail(const Origin& origin, const std::string& problem) {
  throw Error(origin.file + ": " + problem + " (" + innermost_message() + "); " + origin.advice);
}

// Passes what is good on, or throws.
void checked(herr_t status, const Origin& origin, const std::string& problem) {
  if (status < 0) fail(origin, problem);
}
Handle checked(Handle handle, const Origin& origin, const std::string& problem) {
  if (!handle.ok()) fail(origin, problem);
  return handle;
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

Handle space_of(const std::vector<int64_t>& shape, bool growing = false) {
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

Handle text_type() {
  Handle type = own<H5Tclose>(H5Tcopy(H5T_C_S1));
  SS_CHECK(H5Tset_size(type.get(), H5T_VARIABLE) >= 0 &&
           H5Tset_cset(type.get(), H5T_CSET_UTF8) >= 0);
  return type;
}

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
  return list;
}

std::string words(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (const int64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + (extent < 0 ? "any" : std::to_string(extent));
  return text + ")";
}

}  // namespace

Dataset::Dataset(Handle id, std::string name, std::shared_ptr<const Origin> origin)
    : id_(std::move(id)), name_(std::move(name)), origin_(std::move(origin)) {
  const Handle space = own<H5Sclose>(H5Dget_space(id_.get()));
  const int rank = H5Sget_simple_extent_ndims(space.get());
  validate(rank >= 1, origin_->file, ": ", where(), " has no axes; ", origin_->advice);
  std::vector<hsize_t> dims(rank);
  H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  shape_.assign(dims.begin(), dims.end());

  const Handle type = own<H5Tclose>(H5Dget_type(id_.get()));
  const H5T_class_t kind = H5Tget_class(type.get());
  const size_t size = H5Tget_size(type.get());
  const bool bytes = kind == H5T_INTEGER && size == 1 && H5Tget_sign(type.get()) == H5T_SGN_NONE;
  if (kind == H5T_FLOAT)
    dtype_ = size <= 4 ? torch::kFloat32 : torch::kFloat64;
  else
    dtype_ = bytes ? torch::kUInt8 : torch::kInt64;

  const Handle list = own<H5Pclose>(H5Dget_create_plist(id_.get()));
  if (bytes && H5Pget_layout(list.get()) == H5D_CHUNKED && H5Pget_nfilters(list.get()) == 0) {
    std::vector<hsize_t> chunk(rank);
    H5Pget_chunk(list.get(), rank, chunk.data());
    row_chunks_ = chunk[0] == 1 && std::equal(chunk.begin() + 1, chunk.end(), dims.begin() + 1);
  }
}

void Dataset::resize(int64_t rows) {
  shape_[0] = rows;
  checked(H5Dset_extent(id_.get(), extents(shape_).data()), *origin_, where() + " cannot grow");
}

void Dataset::transfer(int64_t first, int64_t count, void* into, const void* from) const {
  if (count == 0) return;
  const std::string problem = where() + (into ? " cannot be read" : " cannot be written") +
                              " at row " + std::to_string(first);
  auto part = shape_;
  part[0] = count;
  const Handle memory_space = space_of(part);
  const Handle file_space = checked(own<H5Sclose>(H5Dget_space(id_.get())), *origin_, problem);
  select_rows(file_space, first, part);
  const hid_t type = native_type(dtype_);
  checked(into ? H5Dread(id_.get(), type, memory_space.get(), file_space.get(), H5P_DEFAULT, into)
               : H5Dwrite(id_.get(), type, memory_space.get(), file_space.get(), H5P_DEFAULT, from),
          *origin_, problem);
}

void Dataset::write_rows(int64_t first, const torch::Tensor& rows) {
  SS_CHECK(rows.dim() == static_cast<int64_t>(shape_.size()) && rows.scalar_type() == dtype_ &&
               std::equal(shape_.begin() + 1, shape_.end(), rows.sizes().begin() + 1),
           name_, " takes ", words(shape_), ", got ", rows.sizes());
  SS_CHECK(first >= 0 && first + rows.size(0) <= shape_[0], name_, " at row ", first);
  const torch::Tensor data = rows.cpu().contiguous();
  if (!row_chunks_) return transfer(first, data.size(0), nullptr, data.data_ptr());
  std::vector<hsize_t> offset(shape_.size(), 0);
  const size_t bytes = data.size(0) ? data.nbytes() / data.size(0) : 0;
  for (int64_t row = 0; row < data.size(0); ++row) {
    offset[0] = first + row;
    checked(H5Dwrite_chunk(id_.get(), H5P_DEFAULT, 0, offset.data(), bytes,
                           static_cast<const uint8_t*>(data.data_ptr()) + row * bytes),
            *origin_, where() + " cannot be written at row " + std::to_string(first + row));
  }
}

torch::Tensor Dataset::read() const {
  torch::Tensor out = torch::empty(shape_, dtype_);
  if (out.numel() > 0) transfer(0, shape_[0], out.data_ptr(), nullptr);
  return out;
}

torch::Tensor Dataset::read_rows(at::ArrayRef<int64_t> indices) const {
  auto shape = shape_;
  shape[0] = static_cast<int64_t>(indices.size());
  torch::Tensor out = torch::empty(shape, dtype_);
  if (out.numel() == 0) return out;
  auto* into = static_cast<uint8_t*>(out.data_ptr());
  const size_t bytes = out.nbytes() / indices.size();
  std::vector<hsize_t> offset(shape_.size(), 0);
  uint32_t filters = 0;
  for (const int64_t row : indices) {
    SS_CHECK(row >= 0 && row < shape_[0], name_, " has ", shape_[0], " rows; asked for ", row);
    offset[0] = row;
    // A chunk that was never written has no bytes in the file: the general way gives its fill
    // value.
    if (!row_chunks_ || H5Dread_chunk(id_.get(), H5P_DEFAULT, offset.data(), &filters, into) < 0)
      transfer(row, 1, into, nullptr);
    into += bytes;
  }
  return out;
}

File::File(Handle id, std::shared_ptr<const Origin> origin)
    : id_(std::move(id)), origin_(std::move(origin)) {}

File File::create(const std::filesystem::path& file, std::string advice) {
  auto origin = std::make_shared<const Origin>(Origin{file.string(), std::move(advice)});
  const Handle access = access_list();
  const Handle creation = creation_list(H5P_FILE_CREATE);
  Handle id = own<H5Fclose>(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
  return File(checked(std::move(id), *origin, "cannot be created"), std::move(origin));
}

File File::open(const std::filesystem::path& file, std::string advice) {
  auto origin = std::make_shared<const Origin>(Origin{file.string(), std::move(advice)});
  validate(std::filesystem::exists(file), file.string(), ": does not exist; ", origin->advice);
  const Handle access = access_list();
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

Dataset File::create(const std::string& name, int64_t type, const std::vector<int64_t>& shape,
                     int64_t creation) {
  // Groups on the way are made here: those that HDF5 would make carry the time, and then the same
  // content would not give the same bytes.
  const Handle group = creation_list(H5P_GROUP_CREATE);
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (const std::string above = name.substr(0, slash); !contains(above))
      checked(own<H5Gclose>(
                  H5Gcreate2(id_.get(), above.c_str(), H5P_DEFAULT, group.get(), H5P_DEFAULT)),
              *origin_, "group '" + above + "' cannot be created");
  const Handle space = space_of(shape, H5Pget_layout(creation) == H5D_CHUNKED);
  Handle id = own<H5Dclose>(
      H5Dcreate2(id_.get(), name.c_str(), type, space.get(), H5P_DEFAULT, creation, H5P_DEFAULT));
  return Dataset(checked(std::move(id), *origin_, "data set '" + name + "' cannot be created"),
                 name, origin_);
}

Dataset File::create_rows(const std::string& name, torch::Dtype dtype,
                          std::vector<int64_t> row_shape) {
  const Handle creation = creation_list(H5P_DATASET_CREATE);
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
  const Handle space = own<H5Sclose>(H5Screate(H5S_SCALAR));
  const std::string problem = "attribute '" + name + "' cannot be written";
  const Handle id = checked(own<H5Aclose>(H5Acreate2(id_.get(), name.c_str(), type, space.get(),
                                                     H5P_DEFAULT, H5P_DEFAULT)),
                            *origin_, problem);
  checked(H5Awrite(id.get(), type, value), *origin_, problem);
}

void File::read_attribute(const std::string& name, int64_t type, void* value) const {
  validate(H5Aexists(id_.get(), name.c_str()) > 0, origin_->file, ": attribute '", name,
           "' is missing; ", origin_->advice);
  const Handle id = own<H5Aclose>(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT));
  checked(H5Aread(id.get(), type, value), *origin_, "attribute '" + name + "' cannot be read");
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
