#include "io/pcam_file.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

namespace stylescope {
namespace {

constexpr int64_t kBlock = 256;  // images kept around the one that was asked for
constexpr const char* kAdvice = "download PatchCamelyon's file again";

hdf5::File open_unpacked(const std::filesystem::path& file) {
  const std::filesystem::path packed = file.string() + ".gz";
  validate(std::filesystem::exists(file) || !std::filesystem::exists(packed), file.string(),
           ": is still packed (", packed.filename().string(), " lies there); run: gunzip ",
           packed.string());
  return hdf5::File::open(file, "put PatchCamelyon's files of one split into one folder");
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  for (size_t comma = 0; comma != std::string_view::npos;) {
    comma = line.find(',');
    std::string_view field = line.substr(0, comma);
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
      field = field.substr(1, field.size() - 2);
    fields.push_back(field);
    if (comma != std::string_view::npos) line.remove_prefix(comma + 1);
  }
  return fields;
}

// The csv of a split: a heading, then a line an image.
class MetaCsv {
 public:
  explicit MetaCsv(const std::filesystem::path& file)
      : file_(file.string()), text_(read_text(file)) {
    const auto heading = fields_of(next_line());
    x_ = column(heading, "coord_x");
    y_ = column(heading, "coord_y");
    slide_ = column(heading, "wsi");
    index_ = std::ranges::find(heading, "index") - heading.begin();
    columns_ = heading.size();
  }
  // Fills in slides and coordinates.
  void read_into(std::vector<PcamRecord>& records, const std::string& images) {
    size_t row = 0;
    for (; rest_.find_first_not_of("\r\n") != std::string_view::npos; ++row) {
      const auto fields = fields_of(next_line());
      validate(fields.size() == columns_, file_, ": line ", line_, " has ", fields.size(),
               " fields, the heading ", columns_, "; ", kAdvice);
      if (row >= records.size()) continue;
      validate(index_ == columns_ || number(fields, index_) == static_cast<int64_t>(row), file_,
               ": line ", line_, " describes image ", index_ < columns_ ? fields[index_] : "",
               ", not ", row, "; put the lines in the order of the images");
      records[row].slide = fields[slide_];
      records[row].x = number(fields, x_);
      records[row].y = number(fields, y_);
    }
    validate(row == records.size(), file_, ": describes ", row, " images, ", images, " has ",
             records.size(), "; ", kAdvice);
  }

 private:
  std::string_view next_line() {
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++line_;
    return line;
  }
  size_t column(const std::vector<std::string_view>& heading, std::string_view name) const {
    const auto found = std::ranges::find(heading, name);
    validate(found != heading.end(), file_, ": line 1 has no column '", name, "'; ", kAdvice);
    return found - heading.begin();
  }
  int64_t number(const std::vector<std::string_view>& fields, size_t column) const {
    const std::string_view text = fields[column];
    double value = 0;
    const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    validate(problem == std::errc() && stop == text.data() + text.size() && std::abs(value) < 1e9,
             file_, ": line ", line_, ": '", text, "' is no coordinate; ", kAdvice);
    return std::llround(value);
  }

  std::string file_;
  std::string text_;
  std::string_view rest_ = text_;
  int64_t line_ = 0;
  size_t x_ = 0, y_ = 0, slide_ = 0, index_ = 0, columns_ = 0;
};

}  // namespace

struct PcamFile::Impl {
  hdf5::File file;
  hdf5::Dataset x;
  std::vector<PcamRecord> records;
  bool slides = false;
  int64_t block_first = -1;
  torch::Tensor block;
};

PcamFile::PcamFile(const std::filesystem::path& folder, const std::string& split) {
  SS_CHECK(split == "train" || split == "valid" || split == "test", split);
  const std::string stem = (folder / ("camelyonpatch_level_2_split_" + split + "_")).string();
  const std::string x_name = stem + "x.h5", y_name = stem + "y.h5";
  hdf5::File file = open_unpacked(x_name);
  hdf5::Dataset x = file.dataset("x");
  const auto& shape = x.shape();
  validate(shape.size() == 4 && shape[1] == shape[2] && shape[1] > 0 && shape[3] == 3 &&
               x.dtype() == torch::kUInt8,
           x_name, ": data set 'x' is not (images, 96, 96, 3) bytes, nor of another square; ",
           kAdvice);

  const torch::Tensor y = open_unpacked(y_name).dataset("y").read().to(torch::kInt64).flatten();
  validate(y.numel() == shape[0], y_name, ": has ", y.numel(), " labels, ", x_name, " ", shape[0],
           " images; ", kAdvice);
  std::vector<PcamRecord> records(shape[0]);
  for (int64_t i = 0; i < shape[0]; ++i) {
    records[i].label = y.data_ptr<int64_t>()[i];
    validate(records[i].label == 0 || records[i].label == 1, y_name, ": the label of image ", i,
             " is ", records[i].label, ", not 0 or 1; ", kAdvice);
  }
  const bool slides = std::filesystem::exists(stem + "meta.csv");
  if (slides) MetaCsv(stem + "meta.csv").read_into(records, x_name);
  impl_.reset(new Impl{std::move(file), std::move(x), std::move(records), slides, -1, {}});
}

PcamFile::~PcamFile() = default;
PcamFile::PcamFile(PcamFile&&) noexcept = default;
PcamFile& PcamFile::operator=(PcamFile&&) noexcept = default;

int64_t PcamFile::size() const { return std::ssize(impl_->records); }
bool PcamFile::has_slides() const { return impl_->slides; }
const PcamRecord& PcamFile::record(int64_t index) const { return impl_->records.at(index); }

torch::Tensor PcamFile::image(int64_t index) {
  SS_CHECK(index >= 0 && index < size(), "image ", index, " of ", size());
  if (const int64_t first = index - index % kBlock; first != impl_->block_first) {
    impl_->block = images(first, std::min(kBlock, size() - first));
    impl_->block_first = first;
  }
  return impl_->block[index - impl_->block_first].clone();
}

torch::Tensor PcamFile::images(int64_t first, int64_t count) const {
  return impl_->x.read_range(first, count).permute({0, 3, 1, 2}).contiguous();
}

}  // namespace stylescope
