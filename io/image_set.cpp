#include "io/image_set.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"

#include <array>
#include <limits>

namespace stylescope {
namespace {

constexpr const char* kFormat = "stylescope.images";
constexpr int64_t kVersion = 1;
constexpr int64_t kGrowth = 1024;  // rows by which the data set of images grows while it is written
constexpr const char* kRunAgain = "run the ingest stage again";

// Rule 3 of the design: an image of a subject whom f or G was trained on is no test image.
void check_subjects(const std::string& file, const std::vector<ImageRecord>& records) {
  std::map<std::string, Split> split_of;
  for (const auto& record : records) {
    const auto [known, is_new] = split_of.emplace(record.subject, record.split);
    validate(is_new || known->second == record.split, file, ": subject '", record.subject,
             "' stands in two splits, ", to_string(known->second), " and ", to_string(record.split),
             " (", record.path, "); give every subject's images one split only");
  }
}

std::filesystem::path partial_name(const std::filesystem::path& file) {
  return file.string() + ".partial";
}

}  // namespace

std::string to_string(Split split) {
  constexpr std::array names{"train", "val", "test"};
  return names.at(static_cast<size_t>(split));
}

struct ImageSetWriter::Impl {
  std::filesystem::path target;
  std::vector<std::string> label_names;
  std::string source_json;
  hdf5::File file;
  hdf5::Dataset images;
  std::vector<ImageRecord> records;
  bool published = false;

  void write_records() {
    const auto count = static_cast<int64_t>(records.size());
    torch::Tensor label = torch::empty({count}, torch::kInt64);
    torch::Tensor split = torch::empty({count}, torch::kUInt8);
    std::vector<std::string> subject, path;
    for (int64_t i = 0; i < count; ++i) {
      label.data_ptr<int64_t>()[i] = records[i].label;
      split.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(records[i].split);
      subject.push_back(records[i].subject);
      path.push_back(records[i].path);
    }
    file.write("label", label);
    file.write("split", split);
    file.write_strings("subject", subject);
    file.write_strings("path", path);
    file.write_strings("label_names", label_names);
    for (const auto& [name, first] : records.front().attributes) {
      torch::Tensor values = torch::empty({count}, torch::kFloat64);
      for (int64_t i = 0; i < count; ++i)
        values.data_ptr<double>()[i] = records[i].attributes.at(name);
      file.write("attributes/" + name, values);
    }
    file.write_format(kFormat, kVersion);
    file.write_attribute("source", source_json);
  }
};

ImageSetWriter::ImageSetWriter(std::filesystem::path file, int64_t channels, int64_t height,
                               int64_t width, std::vector<std::string> label_names,
                               std::string source_json) {
  SS_CHECK(channels > 0 && height > 0 && width > 0);
  hdf5::File partial =
      hdf5::File::create(partial_name(file), "check the disk's space and permissions");
  hdf5::Dataset images = partial.create_rows("images", torch::kUInt8, {channels, height, width});
  impl_.reset(new Impl{std::move(file),
                       std::move(label_names),
                       std::move(source_json),
                       std::move(partial),
                       std::move(images),
                       {}});
}

ImageSetWriter::~ImageSetWriter() {
  if (!impl_ || impl_->published) return;
  const auto partial = partial_name(impl_->target);
  impl_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
}

void ImageSetWriter::append(const torch::Tensor& pixels, const ImageRecord& record) {
  SS_CHECK(record.label >= 0 && record.label < static_cast<int64_t>(impl_->label_names.size()),
           "label ", record.label);
  if (!impl_->records.empty()) {
    const auto& names = impl_->records.front().attributes;
    SS_CHECK(names.size() == record.attributes.size() &&
                 std::equal(names.begin(), names.end(), record.attributes.begin(),
                            [](const auto& a, const auto& b) { return a.first == b.first; }),
             "attributes of ", record.path, " differ from those of ", impl_->records.front().path);
  }
  const auto row = static_cast<int64_t>(impl_->records.size());
  if (row == impl_->images.shape()[0]) impl_->images.resize(row + kGrowth);
  impl_->images.write_rows(row, pixels.unsqueeze(0));
  impl_->records.push_back(record);
}

void ImageSetWriter::close() {
  SS_CHECK(!impl_->published);
  validate(!impl_->records.empty(), impl_->target.string(),
           ": there are no images to write; check the input folders");
  check_subjects(impl_->target.string(), impl_->records);
  impl_->images.resize(static_cast<int64_t>(impl_->records.size()));
  impl_->write_records();
  { const hdf5::Dataset done = std::move(impl_->images); }
  impl_->file.close();
  publish_file(impl_->target, [this](const std::filesystem::path& temporary) {
    std::filesystem::rename(partial_name(impl_->target), temporary);
  });
  impl_->published = true;
}

struct ImageSet::Impl {
  hdf5::File file;
  hdf5::Dataset images;
  std::string source_json;
  std::vector<std::string> label_names;
  std::vector<ImageRecord> records;

  void read_records(const std::string& name) {
    const int64_t count = images.shape()[0];
    const auto label = file.read("label", torch::kInt64, {count});
    const auto split = file.read("split", torch::kInt64, {count});
    const auto subject = read_list("subject", name);
    const auto path = read_list("path", name);
    label_names = file.read_strings("label_names");
    records.resize(count);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t label_i = label.data_ptr<int64_t>()[i];
      const int64_t split_i = split.data_ptr<int64_t>()[i];
      validate(label_i >= 0 && label_i < static_cast<int64_t>(label_names.size()), name, ": label ",
               label_i, " of image ", i, " is no index into the ", label_names.size(),
               " label names; ", kRunAgain);
      validate(split_i >= 0 && split_i <= 2, name, ": split ", split_i, " of image ", i,
               " is none of 0 (train), 1 (val), 2 (test); ", kRunAgain);
      records[i] = {label_i, static_cast<Split>(split_i), subject[i], path[i], {}};
    }
    for (const auto& attribute : file.names_in("attributes")) {
      const auto values = file.read("attributes/" + attribute, torch::kFloat64, {count});
      for (int64_t i = 0; i < count; ++i)
        records[i].attributes[attribute] = values.data_ptr<double>()[i];
    }
  }

  std::vector<std::string> read_list(const std::string& list, const std::string& name) const {
    auto values = file.read_strings(list);
    validate(values.size() == static_cast<size_t>(images.shape()[0]), name, ": data set '", list,
             "' has ", values.size(), " entries for ", images.shape()[0], " images; ", kRunAgain);
    return values;
  }
};

ImageSet::ImageSet(const std::filesystem::path& path) {
  hdf5::File file = hdf5::File::open(path, kRunAgain);
  file.check_format(kFormat, kVersion);
  hdf5::Dataset images = file.dataset("images");
  const auto shape = images.shape();
  validate(shape.size() == 4 && shape[0] > 0 && images.dtype() == torch::kUInt8, path.string(),
           ": data set 'images' must be (images, channels, height, width) of bytes; ", kRunAgain);
  std::string source = file.read_text_attribute("source");
  impl_.reset(new Impl{std::move(file), std::move(images), std::move(source), {}, {}});
  impl_->read_records(path.string());
  check_subjects(path.string(), impl_->records);
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

const ImageRecord& ImageSet::record(int64_t index) const { return impl_->records.at(index); }

std::vector<int64_t> ImageSet::indices(Split split) const {
  std::vector<int64_t> found;
  for (int64_t i = 0; i < size(); ++i)
    if (impl_->records[i].split == split) found.push_back(i);
  return found;
}

torch::Tensor ImageSet::read(at::ArrayRef<int64_t> indices) const {
  return impl_->images.read_rows(indices);
}

}  // namespace stylescope
