#include "io/dicom_tables.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace stylescope {
namespace {

constexpr size_t kLargestTable = 65536;

// Entries of 8 bits may lie two in a word, the first in its lower half.
std::vector<uint16_t> as_entries(std::vector<uint16_t> words, size_t count) {
  if (words.size() >= count || words.size() * 2 < count) return words;
  std::vector<uint16_t> entries;
  for (const uint16_t word : words) {
    entries.push_back(word & 0xff);
    entries.push_back(word >> 8);
  }
  return entries;
}

// From the descriptor (how many entries, the first value, bits) and the entries.
DicomLut made_table(const std::string& name, const std::string& what,
                    const std::vector<uint16_t>& descriptor, std::vector<uint16_t> words,
                    bool is_signed) {
  const bool described = descriptor.size() >= 3 && descriptor[2] >= 8 && descriptor[2] <= 16;
  const size_t count = !described ? 0 : descriptor[0] ? descriptor[0] : kLargestTable;
  DicomLut table;
  table.entries = as_entries(std::move(words), count);
  validate(described && table.entries.size() >= count, name, ": its ", what,
           " is cut off or damaged (", table.entries.size(), " of ", count,
           " entries); export it again");
  table.entries.resize(count);
  table.first = is_signed ? static_cast<int64_t>(static_cast<int16_t>(descriptor[1]))
                          : static_cast<int64_t>(descriptor[1]);
  table.bits = descriptor[2];
  // Many say 16 bits and fill 8.
  const bool small = std::ranges::all_of(table.entries, [](uint16_t e) { return e < 256; });
  if (table.bits == 16 && small) table.bits = 8;
  return table;
}

std::optional<DicomLut> table_in(const std::string& name, const std::string& what,
                                 const DicomDataSet& data, uint32_t sequence, bool is_signed) {
  const auto item = data.first_item(sequence);
  if (!item) return std::nullopt;
  return made_table(name, what, item->words(dicom_tag::lut_descriptor),
                    item->words(dicom_tag::lut_data), is_signed);
}

// The first number of several; the first window is the one to show.
std::optional<double> first_number(const std::string& name, const DicomDataSet& data, uint32_t tag,
                                   const std::string& what) {
  if (data.text(tag).empty()) return std::nullopt;
  const auto numbers = data.decimals(tag);
  validate(!numbers.empty() && std::isfinite(numbers[0]), name, ": its ", what,
           " is no number; export it again");
  return numbers[0];
}

std::optional<DicomWindow> window_of(const std::string& name, const DicomDataSet& data) {
  const auto center = first_number(name, data, dicom_tag::window_center, "window centre");
  const auto width = first_number(name, data, dicom_tag::window_width, "window width");
  if (!center || !width) return std::nullopt;
  const std::string function = data.text(dicom_tag::window_function);
  DicomWindow window{*center, *width, WindowFunction::linear};
  if (function == "SIGMOID") window.function = WindowFunction::sigmoid;
  if (function == "LINEAR_EXACT") window.function = WindowFunction::linear_exact;
  const bool wide = window.function == WindowFunction::linear ? *width >= 1 : *width > 0;
  return wide ? std::optional(window) : std::nullopt;
}

int64_t number_of_bytes(uint16_t low, uint16_t high) {
  return static_cast<int64_t>(low) | static_cast<int64_t>(high) << 16;
}

// Segments (PS3.3, C.7.9.2): 0, n, n entries; 1, n, y: from the last entry to y in n steps; 2, n,
// place: n segments again that stand at that byte.
class Segments {
 public:
  explicit Segments(const std::vector<uint16_t>& words) : words_(words) {}

  // All of them; empty where they are damaged.
  std::vector<uint16_t> expand() {
    size_t at = 0;
    while (at < words_.size())
      if (!segment(at, true)) return {};
    return std::move(entries_);
  }

 private:
  bool holds(size_t at, size_t count) const {
    return at <= words_.size() && count <= words_.size() - at;
  }
  bool segment(size_t& at, bool may_refer) {
    if (!holds(at, 3) || entries_.size() > kLargestTable) return false;
    const uint16_t kind = words_[at], count = words_[at + 1];
    at += 2;
    if (kind == 0) return discrete(at, count);
    if (kind == 1) return linear(at, count);
    if (kind != 2 || !may_refer || !holds(at, 2)) return false;
    auto place = static_cast<size_t>(number_of_bytes(words_[at], words_[at + 1])) / 2;
    at += 2;
    for (uint16_t i = 0; i < count; ++i)
      if (!segment(place, false)) return false;
    return true;
  }
  bool discrete(size_t& at, uint16_t count) {
    if (!holds(at, count)) return false;
    for (uint16_t i = 0; i < count; ++i) entries_.push_back(words_[at++]);
    return true;
  }
  bool linear(size_t& at, uint16_t count) {
    if (entries_.empty()) return false;
    const double from = entries_.back(), to = words_[at++];
    for (int i = 1; i <= count; ++i)
      entries_.push_back(static_cast<uint16_t>(std::lround(from + (to - from) * i / count)));
    return true;
  }

  const std::vector<uint16_t>& words_;
  std::vector<uint16_t> entries_;
};

}  // namespace

std::optional<DicomDataSet> frame_item(const DicomDataSet& data, uint32_t sequence) {
  for (const uint32_t groups : {dicom_tag::shared_groups, dicom_tag::frame_groups}) {
    const auto group = data.first_item(groups);
    if (!group) continue;
    if (auto item = group->first_item(sequence)) return item;
  }
  return std::nullopt;
}

DicomDisplay display_of(const std::string& name, const DicomDataSet& data,
                        const DicomFormat& format) {
  DicomDisplay display;
  display.inverted = format.photometric == "MONOCHROME1";
  display.modality =
      table_in(name, "modality table", data, dicom_tag::modality_lut, format.is_signed);
  const auto transformation = frame_item(data, dicom_tag::pixel_transformation);
  const DicomDataSet& rescale = transformation ? *transformation : data;
  display.slope = first_number(name, rescale, dicom_tag::slope, "rescale slope").value_or(1);
  display.intercept =
      first_number(name, rescale, dicom_tag::intercept, "rescale intercept").value_or(0);
  validate(display.slope != 0, name,
           ": has a rescale slope of 0 (every pixel would be the same); export it again");
  // A table of what the first table gives, or of values that rescaling may make negative.
  const bool negative = !display.modality && (format.is_signed || display.intercept < 0);
  display.voi = table_in(name, "VOI table", data, dicom_tag::voi_lut, negative);
  const auto voi = frame_item(data, dicom_tag::frame_voi);
  display.window = window_of(name, voi ? *voi : data);
  if (const auto from = data.word(dicom_tag::padding, format.is_signed)) {
    const auto to = data.word(dicom_tag::padding_limit, format.is_signed).value_or(*from);
    display.padding = {static_cast<double>(std::min(*from, to)),
                       static_cast<double>(std::max(*from, to))};
  }
  return display;
}

std::vector<DicomLut> palette_of(const std::string& name, const DicomDataSet& data,
                                 const DicomFormat& format) {
  std::vector<DicomLut> palette;
  int64_t bits = 8;
  for (uint32_t color = 0; color < 3; ++color) {
    auto words = data.words(dicom_tag::palette_data + color);
    if (words.empty()) {
      const auto segmented = data.words(dicom_tag::segmented_palette + color);
      words = Segments(segmented).expand();
    }
    palette.push_back(made_table(name, "palette", data.words(dicom_tag::palette + color),
                                 std::move(words), format.is_signed));
    // Some say 8 bits and have them in the upper half of 16.
    auto& table = palette.back();
    const uint16_t most = *std::ranges::max_element(table.entries);
    if (most >> table.bits != 0) table.bits = 16;
    bits = std::max(bits, table.bits);
  }
  // One of the colours may be dark all over without being of fewer bits.
  for (DicomLut& table : palette) table.bits = bits;
  return palette;
}

}  // namespace stylescope
