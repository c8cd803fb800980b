#include "io/stylegan_set.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/lower_case.hpp"
#include "io/picture.hpp"
#include "io/zip_archive.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

constexpr const char* kDataset = "dataset.json";
constexpr int64_t kMostLabels = 10'000;

// The files of a data set, in an archive or below a folder.
class Files {
 public:
  explicit Files(const fs::path& root) : root_(root) {
    if (!fs::is_directory(root)) {
      archive_.emplace(root);
      for (const auto& entry : archive_->entries()) sizes_[entry.name] = entry.bytes;
      return;
    }
    std::error_code failure;
    fs::recursive_directory_iterator entry(root, failure), end;
    for (; !failure && entry != end; entry.increment(failure))
      if (std::error_code ignored; entry->is_regular_file(ignored))
        sizes_[fs::relative(entry->path(), root).generic_string()] =
            static_cast<int64_t>(entry->file_size(ignored));
    validate(!failure, root.string(), ": cannot be read (", failure.message(),
             "); check the path and its permissions");
  }

  // Sorted by name.
  const std::map<std::string, int64_t>& sizes() const { return sizes_; }
  std::string read(const std::string& name) const {
    return archive_ ? archive_->read(name) : read_text(root_ / name);
  }
  // "<root>/<name>", as messages and lists have it.
  std::string where(const std::string& name) const { return (root_ / name).string(); }

 private:
  fs::path root_;
  std::optional<ZipArchive> archive_;
  std::map<std::string, int64_t> sizes_;
};

json read_dataset(const Files& files) {
  const std::string where = files.where(kDataset);
  validate(files.sizes().contains(kDataset), where,
           ": is not there (it holds the labels of a StyleGAN2-ADA data set); make the data set "
           "with labels (dataset_tool.py takes them from a dataset.json of the source), or give a "
           "folder of pictures with source: folder");
  const json content = json::parse(files.read(kDataset), nullptr, false);
  validate(content.is_object(), where, ": is no JSON object (cut off, or edited); make it again");
  validate(content.contains("labels") && !content["labels"].is_null(), where,
           ": says no labels (a classifier needs pictures of two classes); make the data set with "
           "labels");
  validate(content["labels"].is_array(), where,
           ": 'labels' is no list of [name, label]; make it again");
  return content;
}

// What is not as it must be is not shown: it may be nested as deep as the stack, or deeper.
int64_t label_of(const json& entry, int64_t number, const std::string& where) {
  const bool pair = entry.is_array() && entry.size() == 2 && entry[0].is_string();
  validate(pair, where, ": entry ", number, " of 'labels' is of type ", entry.type_name(),
           " and no pair [name, label]; make it again");
  const json& label = entry[1];
  validate(
      label.is_number_integer() && label.get<int64_t>() >= 0 && label.get<int64_t>() < kMostLabels,
      where, ": the label of '", entry[0].get<std::string>(), "' is ",
      label.is_number() ? label.dump() : label.type_name(), ", no whole number from 0 to ",
      kMostLabels - 1, "; number the classes");
  return label.get<int64_t>();
}

Split split_named(const std::string& name, const std::string& where) {
  for (const Split split : {Split::train, Split::val, Split::test})
    if (to_string(split) == name) return split;
  throw Error(where + ": knows a split '" + name + "'; there are train, val and test");
}

}  // namespace

bool has_picture_ending(const fs::path& file) {
  static constexpr std::array<std::string_view, 5> kEndings{".png", ".jpg", ".jpeg", ".tif",
                                                            ".tiff"};
  return std::find(kEndings.begin(), kEndings.end(), lower_ending(file)) != kEndings.end();
}

struct StyleganSet::Impl {
  explicit Impl(const fs::path& root) : files(root) {}

  Files files;
  std::vector<StyleganRecord> records;
  std::vector<std::string> label_names;
  bool subjects = false;
  std::once_flag first_found;
  std::vector<int64_t> first_size;  // of the first picture that can be read

  void read_labels() {
    const json content = read_dataset(files);
    const json& labels = content["labels"];
    const std::string where = files.where(kDataset);
    std::map<std::string, size_t> row_of;  // in dataset.json
    for (size_t i = 0; i < labels.size(); ++i) {
      StyleganRecord record;
      record.entry = static_cast<int64_t>(i) + 1;
      record.label = label_of(labels[i], record.entry, where);
      record.name = labels[i][0].get<std::string>();
      const auto file = files.sizes().find(record.name);
      validate(file != files.sizes().end(), where, ": names '", record.name,
               "', which is not there; put it back, or make the data set again");
      validate(row_of.emplace(record.name, i).second, where, ": names '", record.name,
               "' twice; remove one");
      record.bytes = file->second;
      records.push_back(std::move(record));
    }
    for (const auto& [name, bytes] : files.sizes())
      validate(!has_picture_ending(name) || row_of.contains(name), where, ": has no label for '",
               name, "'; add one, or take the picture out");
    validate(!records.empty(), where, ": names no picture; make the data set again");
    if (content.contains("stylescope")) read_own(content["stylescope"], where);
    number_labels(where);
    std::sort(records.begin(), records.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
  }

  // What write_stylegan_set() added.
  void read_own(const json& own, const std::string& where) {
    try {
      label_names = own.at("label_names").get<std::vector<std::string>>();
      const auto subject = own.at("subjects").get<std::vector<std::string>>();
      const auto split = own.at("splits").get<std::vector<std::string>>();
      validate(subject.size() == records.size() && split.size() == records.size(), where,
               ": 'stylescope' knows ", subject.size(), " subjects and ", split.size(),
               " splits for ", records.size(), " labels; take the entry 'stylescope' away");
      for (size_t i = 0; i < records.size(); ++i) {
        records[i].subject = subject[i];
        records[i].split = split_named(split[i], where);
      }
      subjects = true;
    } catch (const json::exception& error) {
      throw Error(where + ": its entry 'stylescope' is damaged (" + error.what() +
                  "); export the data set again, or take the entry away");
    }
  }

  void number_labels(const std::string& where) {
    int64_t largest = 0;
    for (const auto& record : records) largest = std::max(largest, record.label);
    validate(label_names.empty() || largest < std::ssize(label_names), where, ": has label ",
             largest, ", and 'stylescope' names ", label_names.size(), " classes; name them all");
    for (int64_t k = std::ssize(label_names); k <= largest; ++k)
      label_names.push_back(std::to_string(k));
  }

  torch::Tensor read(const std::string& name, int64_t channels,
                     const PictureSettings& settings) const {
    return decode_picture(files.read(name), files.where(name), channels, settings);
  }

  // By name and not by time: what is left out must not depend on threads.
  void find_first_size() {
    for (const auto& record : records) {
      try {
        const auto pixels = read(record.name, 1, {});
        first_size = {pixels.size(1), pixels.size(2)};
        return;
      } catch (const Error&) {
        continue;  // whoever asks for this one gets to hear it
      }
    }
  }

  void check_size(const torch::Tensor& pixels, const std::string& name) {
    std::call_once(first_found, [this] { find_first_size(); });
    validate(pixels.size(1) == first_size[0] && pixels.size(2) == first_size[1], files.where(name),
             ": has ", pixels.size(1), "x", pixels.size(2), " pixels, and the first picture ",
             first_size[0], "x", first_size[1],
             " (a StyleGAN2-ADA data set is of one size); make the data set again");
  }
};

StyleganSet::StyleganSet(const fs::path& zip_or_folder)
    : impl_(std::make_unique<Impl>(zip_or_folder)) {
  impl_->read_labels();
}
StyleganSet::~StyleganSet() = default;
StyleganSet::StyleganSet(StyleganSet&&) noexcept = default;
StyleganSet& StyleganSet::operator=(StyleganSet&&) noexcept = default;

const std::vector<StyleganRecord>& StyleganSet::records() const { return impl_->records; }
const std::vector<std::string>& StyleganSet::label_names() const { return impl_->label_names; }
bool StyleganSet::has_subjects() const { return impl_->subjects; }

std::string StyleganSet::where(int64_t index) const {
  return impl_->files.where(impl_->records.at(static_cast<size_t>(index)).name);
}

torch::Tensor StyleganSet::picture(int64_t index, int64_t channels,
                                   const PictureSettings& settings) const {
  const std::string& name = impl_->records.at(static_cast<size_t>(index)).name;
  auto pixels = impl_->read(name, channels, settings);
  impl_->check_size(pixels, name);
  return pixels;
}

}  // namespace stylescope
