#include "io/image_records.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace stylescope {
namespace {

// Column `list` of texts, one for each of `count` images.
std::vector<std::string> read_list(const hdf5::File& file, const std::string& path,
                                   const std::string& list, int64_t count) {
  auto values = file.read_strings(list);
  validate(values.size() == static_cast<size_t>(count), path, ": data set '", list, "' has ",
           values.size(), " entries for ", count, " images; ", images_format::run_again);
  return values;
}

std::vector<std::string> column(const std::vector<ImageRecord>& records,
                                std::string ImageRecord::*member) {
  std::vector<std::string> values;
  values.reserve(records.size());
  for (const auto& record : records) values.push_back(record.*member);
  return values;
}

}  // namespace

std::string to_string(Split split) {
  constexpr std::array names{"train", "val", "test"};
  return names.at(static_cast<size_t>(split));
}

void check_subjects(const std::string& file, const std::vector<ImageRecord>& records) {
  std::map<std::string_view, const ImageRecord*> first;
  for (const auto& record : records) {
    const auto known = first.emplace(record.subject, &record).first->second;
    validate(known->split == record.split, file, ": subject '", record.subject,
             "' stands in two splits, ", to_string(known->split), " (", known->path, ") and ",
             to_string(record.split), " (", record.path,
             "): what was trained on would be tested on; give every subject's images one split "
             "only");
  }
}

void write_records(hdf5::File& file, const std::vector<ImageRecord>& records,
                   const std::vector<std::string>& label_names) {
  const auto count = static_cast<int64_t>(records.size());
  torch::Tensor label = torch::empty({count}, torch::kInt64);
  torch::Tensor split = torch::empty({count}, torch::kUInt8);
  torch::Tensor coords = torch::empty({count, 2}, torch::kFloat64);
  for (int64_t i = 0; i < count; ++i) {
    label.data_ptr<int64_t>()[i] = records[i].label;
    split.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(records[i].split);
    coords.data_ptr<double>()[2 * i] = records[i].x;
    coords.data_ptr<double>()[2 * i + 1] = records[i].y;
  }
  file.write("label", label);
  file.write("split", split);
  file.write_strings("subject", column(records, &ImageRecord::subject));
  file.write_strings("path", column(records, &ImageRecord::path));
  file.write_strings("label_names", label_names);
  if (std::ranges::any_of(records, [](const auto& record) { return !record.slide.empty(); })) {
    file.write_strings("slide", column(records, &ImageRecord::slide));
    file.write("coords", coords);
  }
  if (records.empty()) return;
  for (const auto& [name, first] : records.front().attributes) {
    torch::Tensor values = torch::empty({count}, torch::kFloat64);
    for (int64_t i = 0; i < count; ++i)
      values.data_ptr<double>()[i] = records[i].attributes.at(name);
    file.write("attributes/" + name, values);
  }
}

std::vector<ImageRecord> read_records(const hdf5::File& file, const std::string& path,
                                      int64_t count, const std::vector<std::string>& label_names) {
  const auto label = file.read("label", torch::kInt64, {count});
  const auto split = file.read("split", torch::kInt64, {count});
  auto subject = read_list(file, path, "subject", count);
  auto source = read_list(file, path, "path", count);
  std::vector<ImageRecord> records(count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label_i = label.data_ptr<int64_t>()[i];
    const int64_t split_i = split.data_ptr<int64_t>()[i];
    validate(label_i >= 0 && label_i < static_cast<int64_t>(label_names.size()), path, ": label ",
             label_i, " of image ", i, " is no index into the ", label_names.size(),
             " label names; ", images_format::run_again);
    validate(split_i >= 0 && split_i <= 2, path, ": split ", split_i, " of image ", i,
             " is none of 0 (train), 1 (val), 2 (test); ", images_format::run_again);
    records[i] = {
        label_i, static_cast<Split>(split_i), std::move(subject[i]), std::move(source[i]), {}};
  }
  if (file.contains("slide")) {
    auto slide = read_list(file, path, "slide", count);
    const auto coords = file.read("coords", torch::kFloat64, {count, 2});
    for (int64_t i = 0; i < count; ++i) {
      records[i].slide = std::move(slide[i]);
      records[i].x = coords.data_ptr<double>()[2 * i];
      records[i].y = coords.data_ptr<double>()[2 * i + 1];
    }
  }
  for (const auto& attribute : file.names_in("attributes")) {
    const auto values = file.read("attributes/" + attribute, torch::kFloat64, {count});
    for (int64_t i = 0; i < count; ++i)
      records[i].attributes[attribute] = values.data_ptr<double>()[i];
  }
  return records;
}

void write_value_names(hdf5::File& file, const ValueNames& names) {
  for (const auto& [attribute, texts] : names)
    file.write_strings("attribute_names/" + attribute, texts);
}

ValueNames read_value_names(const hdf5::File& file) {
  ValueNames names;
  for (const auto& attribute : file.names_in("attribute_names"))
    names[attribute] = file.read_strings("attribute_names/" + attribute);
  return names;
}

void hash_record(Sha256& hash, const ImageRecord& record) {
  const auto number = [&](auto value) { hash.update(&value, sizeof value); };
  const auto text = [&](const std::string& value) {
    number(static_cast<uint64_t>(value.size()));
    hash.update(value);
  };
  number(record.label);
  number(record.split);
  text(record.subject);
  text(record.path);
  text(record.slide);
  number(record.x);
  number(record.y);
  for (const auto& [name, value] : record.attributes) {
    text(name);
    number(value);
  }
}

bool same_attributes(const ImageRecord& a, const ImageRecord& b) {
  return std::ranges::equal(a.attributes, b.attributes,
                            [](const auto& x, const auto& y) { return x.first == y.first; });
}

}  // namespace stylescope
