#include "io/image_set.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"
#include "io/image_index.hpp"
#include "io/image_pixels.hpp"
#include "io/image_records.hpp"

#include <cmath>
#include <mutex>
#include <optional>
#include <set>

namespace stylescope {
namespace {

constexpr int64_t kGrowth = 1024;  // rows by which the data set of images grows while it is written
constexpr const char* kTileGroup = "tile/";

constexpr int64_t kPage = 4096;

// Whole pages are copied out of the system's cache fastest from where pages begin; where images are
// no whole pages, that would cost space.
int64_t alignment_for(const ImageSetOptions& options, int64_t image_bytes) {
  return options.storage == Storage::none && image_bytes % kPage == 0 ? kPage : 1;
}

std::filesystem::path partial_name(const std::filesystem::path& file) {
  return file.string() + ".partial";
}

}  // namespace

struct ImageSetWriter::Impl {
  std::filesystem::path target;
  std::vector<int64_t> shape;
  std::vector<std::string> label_names;
  std::string source_json;
  ImageSetOptions options;
  hdf5::File file;
  std::optional<hdf5::Dataset> images;
  std::vector<ImageRecord> records;
  ValueNames value_names;
  Sha256 hash;
  bool published = false;
};

ImageSetWriter::ImageSetWriter(std::filesystem::path file, int64_t channels, int64_t height,
                               int64_t width, std::vector<std::string> label_names,
                               std::string source_json, const ImageSetOptions& options) {
  SS_CHECK(channels > 0 && height > 0 && width > 0);
  std::vector<hdf5::Filter> filters;
  for (const auto& filter : chunk_filters(options.storage, options.level, channels, height, width))
    filters.push_back({filter.id, filter.values});
  const std::vector<int64_t> shape{channels, height, width};
  hdf5::File partial = hdf5::File::create(partial_name(file), images_format::check_disk,
                                          alignment_for(options, channels * height * width));
  hdf5::Dataset images = partial.create_rows("images", torch::kUInt8, shape, filters);
  impl_.reset(new Impl{std::move(file),
                       shape,
                       std::move(label_names),
                       std::move(source_json),
                       options,
                       std::move(partial),
                       std::move(images),
                       {},
                       {},
                       {}});
  impl_->hash.update(shape.data(), shape.size() * sizeof(int64_t)).update(impl_->source_json);
}

ImageSetWriter::~ImageSetWriter() {
  if (!impl_ || impl_->published) return;
  const auto partial = partial_name(impl_->target);
  impl_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
}

void ImageSetWriter::append(const EncodedImage& image, const ImageRecord& record) {
  SS_CHECK(record.label >= 0 && record.label < static_cast<int64_t>(impl_->label_names.size()),
           "label ", record.label);
  SS_CHECK(image.storage == impl_->options.storage, to_string(image.storage), " for a set of ",
           to_string(impl_->options.storage));
  SS_CHECK(image.shape == impl_->shape, at::IntArrayRef(image.shape), " for a set of ",
           at::IntArrayRef(impl_->shape));
  if (!impl_->records.empty())
    SS_CHECK(same_attributes(impl_->records.front(), record), "attributes of ", record.path,
             " differ from those of ", impl_->records.front().path);
  const auto row = static_cast<int64_t>(impl_->records.size());
  if (row == impl_->images->shape()[0]) impl_->images->resize(row + kGrowth);
  impl_->images->write_chunk(row, image.bytes, image.filter_mask);
  hash_record(impl_->hash, record);
  impl_->hash.update(&image.checksum, sizeof image.checksum);
  impl_->records.push_back(record);
}

void ImageSetWriter::append(const torch::Tensor& pixels, const ImageRecord& record) {
  append(encode_image(pixels, impl_->options.storage, impl_->options.level), record);
}

void ImageSetWriter::add_table(const std::string& name, const torch::Tensor& values) {
  const torch::Tensor data = values.cpu().contiguous();
  impl_->file.write(kTileGroup + name, data);
  impl_->hash.update(name).update(data.data_ptr(), data.nbytes());
}

void ImageSetWriter::add_strings(const std::string& name, const std::vector<std::string>& values) {
  impl_->file.write_strings(kTileGroup + name, values);
  impl_->hash.update(name);
  for (const auto& value : values) impl_->hash.update(value);
}

void ImageSetWriter::set_attribute(const std::string& name, const std::string& text) {
  impl_->file.write_attribute(kTileGroup + name, text);
  impl_->hash.update(name).update(text);
}

torch::Tensor ImageSetWriter::read(at::ArrayRef<int64_t> rows) const {
  SS_CHECK(impl_->options.storage == Storage::none && impl_->images.has_value());
  return impl_->images->read_rows(rows);
}

void ImageSetWriter::leave_out(const std::vector<int64_t>& rows) {
  SS_CHECK(impl_->options.storage == Storage::none && impl_->images.has_value());
  const std::set<int64_t> out(rows.begin(), rows.end());
  std::vector<ImageRecord> kept;
  for (int64_t row = 0; row < std::ssize(impl_->records); ++row) {
    if (out.contains(row)) {
      impl_->hash.update(&row, sizeof row);
      continue;
    }
    const auto to = std::ssize(kept);
    if (to != row) impl_->images->write_rows(to, impl_->images->read_rows({row}));
    kept.push_back(std::move(impl_->records[static_cast<size_t>(row)]));
  }
  impl_->records = std::move(kept);
}

const std::vector<ImageRecord>& ImageSetWriter::records() const { return impl_->records; }

void ImageSetWriter::name_values(const std::string& attribute,
                                 const std::vector<std::string>& names) {
  impl_->value_names[attribute] = names;
  impl_->hash.update(attribute);
  for (const auto& name : names) impl_->hash.update(name);
}

void ImageSetWriter::close() {
  finish();
  publish();
}

void ImageSetWriter::finish() {
  SS_CHECK(impl_->images.has_value());
  validate(impl_->options.shard || !impl_->records.empty(), impl_->target.string(),
           ": there are no images to write; check the input folders");
  check_subjects(impl_->target.string(), impl_->records);
  impl_->images->resize(static_cast<int64_t>(impl_->records.size()));
  write_records(impl_->file, impl_->records, impl_->label_names);
  write_value_names(impl_->file, impl_->value_names);
  impl_->file.write_format(images_format::name, images_format::version);
  impl_->file.write_attribute("source", impl_->source_json);
  for (const auto& name : impl_->label_names) impl_->hash.update(name);
  impl_->file.write_attribute("id", impl_->hash.finish());
  impl_->images.reset();
  impl_->file.close();
  start_writeback(partial_name(impl_->target));
}

void ImageSetWriter::publish() {
  SS_CHECK(!impl_->images && !impl_->published);
  publish_file(impl_->target, [this](const std::filesystem::path& temporary) {
    std::filesystem::rename(partial_name(impl_->target), temporary);
  });
  impl_->published = true;
}

struct ImageSet::Impl {
  hdf5::File file;
  hdf5::Dataset images;
  ImagePixels pixels;
  Access access;
  bool through_hdf5 = false;  // the images lie as only HDF5 can read them
  std::mutex reading{};
  std::string source_json{}, id{};
  std::vector<std::string> label_names{}, shards{};
  std::vector<ImageRecord> records{};
  ValueNames value_names{};
  std::string path{};

  void find_images(const std::filesystem::path& path) {
    const auto found = read_shards(file, path.string());
    if (found.empty()) {
      validate(!images.is_virtual(), path.string(),
               ": data set 'images' is virtual, without a list of its shards; ",
               images_format::run_again);
      through_hdf5 = !pixels.add(path, images);
      return;
    }
    open_shards(path.parent_path(), found, {images.shape().begin() + 1, images.shape().end()},
                pixels);
    for (const auto& shard : found) shards.push_back(shard.file);
    validate(pixels.size() == images.shape()[0], path.string(), ": has ", images.shape()[0],
             " images, its shards ", pixels.size(), "; ", images_format::run_again);
  }
};

ImageSet::ImageSet(const std::filesystem::path& path, Access access) {
  hdf5::File file = hdf5::File::open(path, images_format::run_again);
  file.check_format(images_format::name, images_format::version);
  hdf5::Dataset images = file.dataset("images");
  const auto shape = images.shape();
  validate(shape.size() == 4 && images.dtype() == torch::kUInt8, path.string(),
           ": data set 'images' must be (images, channels, height, width) of bytes; ",
           images_format::run_again);
  ImagePixels pixels({shape.begin() + 1, shape.end()}, images_format::run_again);
  impl_.reset(new Impl{std::move(file), std::move(images), std::move(pixels), access});
  impl_->path = path.string();
  impl_->source_json = impl_->file.read_text_attribute("source");
  if (impl_->file.has_attribute("id")) impl_->id = impl_->file.read_text_attribute("id");
  impl_->label_names = impl_->file.read_strings("label_names");
  impl_->records = read_records(impl_->file, path.string(), shape[0], impl_->label_names);
  impl_->value_names = read_value_names(impl_->file);
  check_subjects(path.string(), impl_->records);
  impl_->find_images(path);
}

ImageSet::~ImageSet() = default;
ImageSet::ImageSet(ImageSet&&) noexcept = default;
ImageSet& ImageSet::operator=(ImageSet&&) noexcept = default;

int64_t ImageSet::size() const { return impl_->images.shape()[0]; }
int64_t ImageSet::channels() const { return impl_->images.shape()[1]; }
int64_t ImageSet::height() const { return impl_->images.shape()[2]; }
int64_t ImageSet::width() const { return impl_->images.shape()[3]; }
const std::vector<std::string>& ImageSet::label_names() const { return impl_->label_names; }
const std::string& ImageSet::source_json() const { return impl_->source_json; }
const std::string& ImageSet::id() const { return impl_->id; }
const std::vector<std::string>& ImageSet::shards() const { return impl_->shards; }

const ImageRecord& ImageSet::record(int64_t index) const { return impl_->records.at(index); }

const std::vector<std::string>& ImageSet::value_names(const std::string& attribute) const {
  static const std::vector<std::string> none;
  const auto found = impl_->value_names.find(attribute);
  return found == impl_->value_names.end() ? none : found->second;
}

std::string ImageSet::text(int64_t index, const std::string& attribute) const {
  const auto& names = value_names(attribute);
  validate(!names.empty(), impl_->path, ": attribute '", attribute,
           "' holds no texts; ask for its numbers");
  const auto& attributes = record(index).attributes;
  const auto value = attributes.find(attribute);
  if (value == attributes.end() || std::isnan(value->second)) return {};
  validate(value->second >= 0 && value->second < static_cast<double>(names.size()), impl_->path,
           ": attribute '", attribute, "' of image ", index, " is ", value->second,
           ", and there are ", names.size(), " texts for it; ", images_format::run_again);
  return names[static_cast<size_t>(value->second)];
}

std::vector<int64_t> ImageSet::indices(Split split) const {
  SS_CHECK(impl_->access == Access::all || split != Split::test,
           "test images were asked for in training");
  std::vector<int64_t> found;
  for (int64_t i = 0; i < size(); ++i)
    if (impl_->records[i].split == split) found.push_back(i);
  return found;
}

torch::Tensor ImageSet::read(at::ArrayRef<int64_t> indices) const {
  if (impl_->access == Access::training)
    for (const int64_t i : indices)
      SS_CHECK(record(i).split != Split::test, "image ", i, ", a test image, was read in training");
  if (!impl_->through_hdf5) return impl_->pixels.read(indices);
  const std::lock_guard lock(impl_->reading);
  return impl_->images.read_rows(indices);
}

bool ImageSet::reads_past_hdf5() const { return !impl_->through_hdf5; }

torch::Tensor ImageSet::table(const std::string& name) const {
  return impl_->file.dataset(kTileGroup + name).read();
}
std::vector<std::string> ImageSet::strings(const std::string& name) const {
  return impl_->file.read_strings(kTileGroup + name);
}
std::string ImageSet::attribute(const std::string& name) const {
  return impl_->file.read_text_attribute(kTileGroup + name);
}
bool ImageSet::has_table(const std::string& name) const {
  return impl_->file.contains(kTileGroup + name);
}
bool ImageSet::has_attribute(const std::string& name) const {
  return impl_->file.has_attribute(kTileGroup + name);
}

}  // namespace stylescope
