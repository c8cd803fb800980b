#include "io/dicom_display.hpp"

#include "io/base/error.hpp"
#include "io/dicom.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace stylescope {
namespace {

uint8_t to_byte(double unit) {
  return static_cast<uint8_t>(std::lround(255 * std::clamp(unit, 0.0, 1.0)));
}

torch::Tensor bytes_of(int64_t channels, int64_t rows, int64_t columns) {
  return torch::empty({channels, rows, columns}, torch::kUInt8);
}

// The ends between which values are stretched.
struct Stretch {
  double low = 0, high = 0;
  double operator()(double value) const { return high > low ? (value - low) / (high - low) : 0; }
};

Stretch found_stretch(const std::vector<double>& values, const std::vector<bool>& padded,
                      const DicomOptions& options) {
  std::vector<double> counted;
  counted.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (padded.empty() || !padded[i]) counted.push_back(values[i]);
  if (counted.empty()) return {};
  if (options.stretch == "full") {
    const auto [low, high] = std::ranges::minmax(counted);
    return {low, high};
  }
  const double low = percentile(counted, options.low);
  return {low, percentile(counted, options.high)};
}

using Rgb = std::array<double, 3>;

Rgb full_to_rgb(double y, double cb, double cr, double half) {
  cb -= half;
  cr -= half;
  return {y + 1.402 * cr, y - 0.114 * 1.772 / 0.587 * cb - 0.299 * 1.402 / 0.587 * cr,
          y + 1.772 * cb};
}

// BT.601 with 219 steps of luminance and 224 of colour, both of 8 bits.
Rgb partial_to_rgb(double y, double cb, double cr) {
  return full_to_rgb((y - 16) * 255 / 219, (cb - 128) * 255 / 224 + 128,
                     (cr - 128) * 255 / 224 + 128, 128);
}

}  // namespace

double DicomLut::operator()(double value) const {
  const auto last = static_cast<double>(entries.size() - 1);
  const double at = std::clamp(std::floor(value) - static_cast<double>(first), 0.0, last);
  return entries[static_cast<size_t>(at)];
}

double DicomWindow::operator()(double value) const {
  if (function == WindowFunction::sigmoid) return 1 / (1 + std::exp(-4 * (value - center) / width));
  const bool exact = function == WindowFunction::linear_exact;
  const double middle = exact ? center : center - 0.5, span = exact ? width : width - 1;
  if (value <= middle - span / 2) return 0;
  if (value > middle + span / 2) return 1;
  return (value - middle) / span + 0.5;
}

double percentile(std::vector<double>& values, double percent) {
  const double at = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(std::floor(at));
  const auto place = values.begin() + static_cast<int64_t>(below);
  std::nth_element(values.begin(), place, values.end());
  const double low = *place, share = at - static_cast<double>(below);
  if (share == 0) return low;
  return low + share * (*std::min_element(place + 1, values.end()) - low);
}

torch::Tensor show_grey(std::vector<double> values, int64_t rows, int64_t columns,
                        const DicomDisplay& display, const DicomOptions& options) {
  SS_CHECK(static_cast<int64_t>(values.size()) == rows * columns);
  std::vector<bool> padded;
  if (display.padding) {
    const auto [from, to] = *display.padding;
    padded.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) padded[i] = values[i] >= from && values[i] <= to;
  }
  for (double& value : values)
    value =
        display.modality ? (*display.modality)(value) : display.slope * value + display.intercept;

  torch::Tensor shown = bytes_of(1, rows, columns);
  auto* out = shown.data_ptr<uint8_t>();
  const auto show = [&](const auto& unit_of) {
    for (size_t i = 0; i < values.size(); ++i) {
      const uint8_t grey = to_byte(unit_of(values[i]));
      out[i] = display.inverted ? static_cast<uint8_t>(255 - grey) : grey;
      if (!padded.empty() && padded[i]) out[i] = 0;
    }
  };
  const bool window = options.stretch == "window";
  if (window && display.voi) {
    const double white = std::ldexp(1.0, static_cast<int>(display.voi->bits)) - 1;
    show([&](double value) { return (*display.voi)(value) / white; });
  } else if (window && display.window) {
    show(*display.window);
  } else {
    const Stretch stretch = found_stretch(values, padded, options);
    if (!(stretch.high > stretch.low)) return shown.zero_();
    show(stretch);
  }
  return shown;
}

torch::Tensor show_color(const std::vector<double>& values, int64_t rows, int64_t columns,
                         const std::string& photometric, int64_t bits) {
  const auto pixels = static_cast<size_t>(rows * columns);
  SS_CHECK(values.size() == 3 * pixels);
  const double white = std::ldexp(1.0, static_cast<int>(bits)) - 1,
               half = std::ldexp(1.0, static_cast<int>(bits) - 1);
  torch::Tensor shown = bytes_of(3, rows, columns);
  auto* out = shown.data_ptr<uint8_t>();
  for (size_t i = 0; i < pixels; ++i) {
    Rgb rgb{values[i], values[pixels + i], values[2 * pixels + i]};
    if (photometric == "YBR_PARTIAL_422")
      rgb = partial_to_rgb(rgb[0], rgb[1], rgb[2]);
    else if (photometric.starts_with("YBR_FULL"))
      rgb = full_to_rgb(rgb[0], rgb[1], rgb[2], half);
    for (size_t c = 0; c < 3; ++c) out[c * pixels + i] = to_byte(rgb[c] / white);
  }
  return shown;
}

torch::Tensor show_palette(const std::vector<double>& values, int64_t rows, int64_t columns,
                           const std::vector<DicomLut>& palette) {
  SS_CHECK(palette.size() == 3 && static_cast<int64_t>(values.size()) == rows * columns);
  torch::Tensor shown = bytes_of(3, rows, columns);
  auto* out = shown.data_ptr<uint8_t>();
  // The upper 8 bits, whether white is ffff or, as in many files, ff00.
  for (const DicomLut& colors : palette)
    for (const double value : values)
      *out++ = static_cast<uint8_t>(
          std::clamp(std::ldexp(colors(value), static_cast<int>(8 - colors.bits)), 0.0, 255.0));
  return shown;
}

torch::Tensor luminance(const torch::Tensor& rgb) {
  const auto wide = rgb.to(torch::kInt32);
  return ((wide[0] * 9798 + wide[1] * 19235 + wide[2] * 3735 + 16384) / 32768)
      .floor()
      .to(torch::kUInt8)
      .unsqueeze(0);
}

}  // namespace stylescope
