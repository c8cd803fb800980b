#include "stages/audit/audit_files.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "stages/images/bad_files.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

constexpr int64_t kPairs = 24, kPairsARow = 4;
constexpr int64_t kSide = 128;  // of an image in the picture
constexpr int64_t kSeam = 2, kGap = 14;

std::string image_fields(const ImageRecord& record, const std::vector<std::string>& label_names) {
  return csv_field(place_of(record)) + "," + csv_field(record.subject) + "," +
         to_string(record.split) + "," +
         csv_field(label_names.at(static_cast<size_t>(record.label)));
}

// (C, kSide, kSide): small images by whole pixels, so that every one can be counted.
torch::Tensor shown(const torch::Tensor& pixels) {
  const int64_t side = std::max(pixels.size(1), pixels.size(2));
  if (side >= kSide || kSide % side != 0 || pixels.size(1) != pixels.size(2))
    return resize_picture(pixels, kSide);
  return pixels.repeat_interleave(kSide / side, 1).repeat_interleave(kSide / side, 2);
}

}  // namespace

std::string place_of(const ImageRecord& record) {
  if (record.slide.empty() || std::isnan(record.x)) return record.path;
  return detail::concatenate(record.path, " at ", std::llround(record.x), ",",
                             std::llround(record.y));
}

std::string correlation_text(const NearPair& pair) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", pair.correlation);
  return text;
}

void write_audit_csv(const std::filesystem::path& file, const NearDuplicates& found,
                     const std::vector<ImageRecord>& records,
                     const std::vector<std::string>& label_names,
                     const std::set<int64_t>& left_out) {
  std::string text =
      "near_duplicate,path_a,subject_a,split_a,label_a,path_b,subject_b,split_b,label_b,distance,"
      "correlation,turned,left_out\n";
  const auto add = [&](const NearPair& pair, bool near) {
    const auto& a = records.at(static_cast<size_t>(pair.a));
    const auto& b = records.at(static_cast<size_t>(pair.b));
    std::string gone;
    if (left_out.contains(pair.a)) gone = place_of(a);
    if (left_out.contains(pair.b)) gone += (gone.empty() ? "" : " and ") + place_of(b);
    text += std::string(near ? "yes" : "no") + "," + image_fields(a, label_names) + "," +
            image_fields(b, label_names) + "," + std::to_string(pair.distance) + "," +
            correlation_text(pair) + "," + pair.turned.name() + "," + csv_field(gone) + "\n";
  };
  for (const auto& pair : found.pairs) add(pair, true);
  for (const auto& pair : found.closest) add(pair, false);
  publish_text(file, text);
}

void write_audit_picture(const std::filesystem::path& file, const NearDuplicates& found,
                         const PixelReader& read) {
  auto pairs = found.pairs;
  pairs.insert(pairs.end(), found.closest.begin(), found.closest.end());
  if (std::ssize(pairs) > kPairs) pairs.resize(kPairs);
  std::error_code ignored;
  std::filesystem::remove(file, ignored);  // of an earlier attempt
  if (pairs.empty()) return;
  const int64_t count = std::ssize(pairs), across = std::min(count, kPairsARow);
  const int64_t width = 2 * kSide + kSeam + kGap, height = kSide + kGap;
  torch::Tensor sheet;
  for (int64_t i = 0; i < count; ++i) {
    const auto& pair = pairs[static_cast<size_t>(i)];
    const auto a = shown(read({pair.a})[0]), b = shown(read({pair.b})[0]);
    if (!sheet.defined())
      sheet = torch::full(
          {a.size(0), (count + across - 1) / across * height + kGap, across * width + kGap}, 255,
          torch::kUInt8);
    const int64_t top = kGap + i / across * height, left = kGap + i % across * width;
    const auto put = [&](const torch::Tensor& image, int64_t x) {
      sheet.slice(1, top, top + kSide).slice(2, x, x + kSide).copy_(image);
    };
    put(a, left);
    put(b, left + kSide + kSeam);
  }
  write_png(file, sheet);
}

}  // namespace stylescope
