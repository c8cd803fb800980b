#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// From the values that a DICOM file stores to what a screen shows. Knows nothing of files.
namespace stylescope {

struct DicomOptions;

// A table of values: entries[value - first], its ends beyond them (PS3.3, C.11.1.1 and C.11.2.1.1).
struct DicomLut {
  std::vector<uint16_t> entries;
  int64_t first = 0;
  int64_t bits = 16;  // of the entries
  double operator()(double value) const;
};

enum class WindowFunction { linear, linear_exact, sigmoid };

struct DicomWindow {
  double center = 0, width = 1;
  WindowFunction function = WindowFunction::linear;
  // To [0, 1], as PS3.3, C.11.2.1.2 and C.11.2.1.3 have it with ymin = 0 and ymax = 1. LINEAR
  // needs a width of 1 at least, the others one above 0.
  double operator()(double value) const;
};

struct DicomDisplay {
  bool inverted = false;  // MONOCHROME1
  std::optional<DicomLut> modality;
  double slope = 1, intercept = 0;  // without such a table
  std::optional<DicomLut> voi;
  std::optional<DicomWindow> window;
  std::optional<std::pair<double, double>>
      padding;  // stored values from, to: no part of the picture
};

// values: (rows x columns) stored values. (1, rows, columns) uint8. Modality table or slope and
// intercept; then, for stretch "window", the VOI table, else the window, else percentiles; then the
// inversion. Padding counts for no percentile and becomes black. A flat picture becomes black.
torch::Tensor show_grey(std::vector<double> values, int64_t rows, int64_t columns,
                        const DicomDisplay& display, const DicomOptions& options);

// The value below which `percent` of the values lie, linear between neighbours (numpy's default).
// Reorders them; there is one at least.
double percentile(std::vector<double>& values, double percent);

// values: (3, pixels), `bits` each. (3, rows, columns) uint8 of RGB, YBR_FULL, YBR_FULL_422 and
// YBR_PARTIAL_422 (PS3.3, C.7.6.3.1.2; ITU-R BT.601).
torch::Tensor show_color(const std::vector<double>& values, int64_t rows, int64_t columns,
                         const std::string& photometric, int64_t bits);

// PALETTE COLOR: the three tables' colours of stored values, (3, rows, columns) uint8.
torch::Tensor show_palette(const std::vector<double>& values, int64_t rows, int64_t columns,
                           const std::vector<DicomLut>& palette);

// (3, H, W) to (1, H, W) uint8, as OpenCV does it: BT.601 luminance in 15-bit fixed point.
torch::Tensor luminance(const torch::Tensor& rgb);

}  // namespace stylescope
