#include "stages/audit/image_print.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace stylescope {
namespace {

constexpr float kEven = 1e-3F;  // grey levels: rounding, not contrast

float grey(const uint8_t* pixels, int64_t channels, int64_t plane, int64_t at) {
  if (channels == 1) return pixels[at];
  return 0.299F * pixels[at] + 0.587F * pixels[plane + at] + 0.114F * pixels[2 * plane + at];
}

void standardise(Thumb& thumb) {
  double sum = 0, squares = 0;
  for (const float v : thumb.values) sum += v;
  const double mean = sum / static_cast<double>(thumb.values.size());
  for (const float v : thumb.values) squares += (v - mean) * (v - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(thumb.values.size()));
  thumb.contrast = static_cast<float>(deviation);
  for (float& v : thumb.values)
    v = deviation > kEven ? static_cast<float>((v - mean) / deviation) : 0.0F;
}

// basis[k * side + i]: cosine k at place i, orthonormal (DCT-II).
std::vector<double> cosines(int64_t side) {
  std::vector<double> basis(static_cast<size_t>(kPrintSide * side));
  const auto n = static_cast<double>(side);
  for (int64_t k = 0; k < kPrintSide; ++k)
    for (int64_t i = 0; i < side; ++i)
      basis[static_cast<size_t>(k * side + i)] =
          std::sqrt((k == 0 ? 1 : 2) / n) *
          std::cos(std::numbers::pi * (2 * static_cast<double>(i) + 1) * static_cast<double>(k) /
                   (2 * n));
  return basis;
}

}  // namespace

Thumb thumb_of(const torch::Tensor& pixels) {
  SS_CHECK(pixels.dim() == 3 && pixels.scalar_type() == torch::kUInt8 &&
               (pixels.size(0) == 1 || pixels.size(0) == 3),
           "expected (1 or 3, H, W) uint8, got ", pixels.sizes());
  const torch::Tensor source = pixels.contiguous();
  const int64_t channels = source.size(0), height = source.size(1), width = source.size(2);
  Thumb thumb;
  thumb.side = std::min({kThumbSide, height, width});
  SS_CHECK(thumb.side >= kPrintSide, "an image of ", height, "x", width);
  const auto cells = static_cast<size_t>(thumb.side * thumb.side);
  thumb.values.assign(cells, 0);
  std::vector<int32_t> count(cells, 0);
  std::vector<int64_t> across(static_cast<size_t>(width));
  for (int64_t x = 0; x < width; ++x) across[static_cast<size_t>(x)] = x * thumb.side / width;
  const auto* from = source.data_ptr<uint8_t>();
  for (int64_t row = 0; row < height; ++row) {
    const int64_t first = row * thumb.side / height * thumb.side;
    for (int64_t column = 0; column < width; ++column) {
      const auto cell = static_cast<size_t>(first + across[static_cast<size_t>(column)]);
      thumb.values[cell] += grey(from, channels, height * width, row * width + column);
      ++count[cell];
    }
  }
  for (size_t i = 0; i < cells; ++i) thumb.values[i] /= static_cast<float>(count[i]);
  standardise(thumb);
  return thumb;
}

ImagePrint print_of(const Thumb& thumb) {
  const int64_t side = thumb.side;
  const auto basis = cosines(side);
  std::vector<double> rows(static_cast<size_t>(side * kPrintSide), 0);  // rows transformed
  for (int64_t y = 0; y < side; ++y)
    for (int64_t v = 0; v < kPrintSide; ++v)
      for (int64_t x = 0; x < side; ++x)
        rows[static_cast<size_t>(y * kPrintSide + v)] +=
            basis[static_cast<size_t>(v * side + x)] *
            thumb.values[static_cast<size_t>(y * side + x)];
  ImagePrint print;
  print.contrast = thumb.contrast;
  for (int64_t u = 0; u < kPrintSide; ++u)
    for (int64_t v = 0; v < kPrintSide; ++v) {
      double sum = 0;
      for (int64_t y = 0; y < side; ++y)
        sum += basis[static_cast<size_t>(u * side + y)] *
               rows[static_cast<size_t>(y * kPrintSide + v)];
      print.low[static_cast<size_t>(u * kPrintSide + v)] =
          static_cast<float>(sum / static_cast<double>(side));
    }
  print.low[0] = 0;
  return print;
}

ImagePrint print_of(const torch::Tensor& pixels) { return print_of(thumb_of(pixels)); }

std::string Orientation::name() const {
  std::string text;
  for (const auto& [is, word] :
       {std::pair{transposed, "transposed"}, {flipped, "flipped"}, {mirrored, "mirrored"}})
    if (is) text += (text.empty() ? "" : " and ") + std::string(word);
  return text.empty() ? "same" : text;
}

// The cosine of an odd frequency changes its sign where the axis is turned round.
ImagePrint turned(const ImagePrint& print, const Orientation& orientation) {
  ImagePrint result = print;
  for (int64_t u = 0; u < kPrintSide; ++u)
    for (int64_t v = 0; v < kPrintSide; ++v) {
      float value = print.low[static_cast<size_t>(orientation.transposed ? v * kPrintSide + u
                                                                         : u * kPrintSide + v)];
      if (orientation.flipped && u % 2 == 1) value = -value;
      if (orientation.mirrored && v % 2 == 1) value = -value;
      result.low[static_cast<size_t>(u * kPrintSide + v)] = value;
    }
  return result;
}

Thumb turned(const Thumb& thumb, const Orientation& orientation) {
  Thumb result = thumb;
  const int64_t n = thumb.side;
  for (int64_t y = 0; y < n; ++y)
    for (int64_t x = 0; x < n; ++x) {
      const int64_t row = orientation.flipped ? n - 1 - y : y;
      const int64_t column = orientation.mirrored ? n - 1 - x : x;
      result.values[static_cast<size_t>(y * n + x)] = thumb.values[static_cast<size_t>(
          orientation.transposed ? column * n + row : row * n + column)];
    }
  return result;
}

std::vector<float> picture_of(const std::array<float, kPrintSize>& low, int64_t side) {
  const auto basis = cosines(side);
  std::vector<float> picture(static_cast<size_t>(side * side));
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      double sum = 0;
      for (int64_t u = 0; u < kPrintSide; ++u)
        for (int64_t v = 0; v < kPrintSide; ++v)
          sum += static_cast<double>(low[static_cast<size_t>(u * kPrintSide + v)]) *
                 basis[static_cast<size_t>(u * side + y)] *
                 basis[static_cast<size_t>(v * side + x)];
      picture[static_cast<size_t>(y * side + x)] =
          static_cast<float>(sum * static_cast<double>(side));
    }
  return picture;
}

std::array<float, kPrintSize> medians_of(const std::vector<ImagePrint>& prints) {
  std::array<float, kPrintSize> medians{};
  if (prints.empty()) return medians;
  std::vector<float> values(prints.size());
  for (size_t k = 1; k < medians.size(); ++k) {
    std::transform(prints.begin(), prints.end(), values.begin(),
                   [k](const ImagePrint& print) { return print.low[k]; });
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    medians[k] = *middle;
  }
  return medians;
}

uint64_t hash_bits(const ImagePrint& print, const std::array<float, kPrintSize>& medians) {
  uint64_t bits = 0;
  for (size_t k = 1; k < medians.size(); ++k)
    if (print.low[k] > medians[k]) bits |= uint64_t{1} << k;
  return bits;
}

}  // namespace stylescope
