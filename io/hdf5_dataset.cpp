#include "io/hdf5_calls.hpp"

#include <algorithm>

namespace stylescope::hdf5 {

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

void Dataset::write_chunk(int64_t row, const torch::Tensor& bytes, uint32_t filter_mask) {
  SS_CHECK(row >= 0 && row < shape_[0], name_, " at row ", row);
  std::vector<hsize_t> offset(shape_.size(), 0);
  offset[0] = row;
  checked(H5Dwrite_chunk(id_.get(), H5P_DEFAULT, filter_mask, offset.data(), bytes.nbytes(),
                         bytes.data_ptr()),
          *origin_, where() + " cannot be written at row " + std::to_string(row));
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

bool Dataset::is_virtual() const {
  return H5Pget_layout(own<H5Pclose>(H5Dget_create_plist(id_.get())).get()) == H5D_VIRTUAL;
}

std::vector<int> Dataset::filters() const {
  const Handle list = own<H5Pclose>(H5Dget_create_plist(id_.get()));
  std::vector<int> ids(static_cast<size_t>(std::max(0, H5Pget_nfilters(list.get()))));
  for (unsigned i = 0; i < ids.size(); ++i) {
    unsigned flags = 0, configuration = 0;
    size_t values = 0;
    ids[i] = H5Pget_filter2(list.get(), i, &flags, &values, nullptr, 0, nullptr, &configuration);
  }
  return ids;
}

std::optional<std::vector<RowPlace>> Dataset::places() const {
  const Handle list = own<H5Pclose>(H5Dget_create_plist(id_.get()));
  int64_t row_bytes = dtype_ == torch::kUInt8 ? 1 : 0;
  for (size_t axis = 1; axis < shape_.size(); ++axis) row_bytes *= shape_[axis];
  if (row_bytes == 0) return std::nullopt;
  if (H5Pget_layout(list.get()) == H5D_CONTIGUOUS && H5Pget_external_count(list.get()) == 0)
    return contiguous_places(row_bytes);
  if (H5Pget_layout(list.get()) != H5D_CHUNKED) return std::nullopt;
  std::vector<hsize_t> chunk(shape_.size());
  H5Pget_chunk(list.get(), static_cast<int>(chunk.size()), chunk.data());
  if (chunk[0] != 1 || !std::equal(chunk.begin() + 1, chunk.end(), shape_.begin() + 1))
    return std::nullopt;
  return chunk_places();
}

std::vector<RowPlace> Dataset::contiguous_places(int64_t row_bytes) const {
  std::vector<RowPlace> places(shape_[0]);
  const haddr_t first = H5Dget_offset(id_.get());
  if (first == HADDR_UNDEF) return places;  // nothing was written
  for (int64_t row = 0; row < shape_[0]; ++row)
    places[row] = {static_cast<int64_t>(first) + row * row_bytes, static_cast<uint32_t>(row_bytes),
                   0};
  return places;
}

std::vector<RowPlace> Dataset::chunk_places() const {
  std::vector<RowPlace> places(shape_[0]);
  const Handle file = own<H5Fclose>(H5Iget_file_id(id_.get()));
  SS_CHECK(file.ok(), innermost_message());
  hsize_t missing = 0;
  {
    const ReadListener listener(file.get());
    std::vector<hsize_t> offset(shape_.size(), 0);
    for (int64_t row = 0; row < shape_[0]; ++row) {
      offset[0] = row;
      // Nothing is read: the driver notes what HDF5 asks for.
      char nothing = 0;
      uint32_t mask = 0;
      if (H5Dread_chunk(id_.get(), H5P_DEFAULT, offset.data(), &mask, &nothing) < 0) {
        ++missing;
        continue;
      }
      places[row] = listener.heard();
      places[row].filter_mask = mask;
    }
  }
  // Never written, or not to be found?
  hsize_t written = 0;
  const std::string problem = where() + " has a damaged index";
  if (missing > 0)
    checked(H5Dget_num_chunks(id_.get(), own<H5Sclose>(H5Dget_space(id_.get())).get(), &written),
            *origin_, problem);
  validate(missing == 0 || written + missing == places.size(), origin_->file, ": ", problem, "; ",
           origin_->advice);
  return places;
}

}  // namespace stylescope::hdf5
