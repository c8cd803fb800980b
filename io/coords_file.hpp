#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

// The files in which CLAM and TRIDENT keep where a slide's tiles lie: an HDF5 data set /coords (N,
// 2) of x, y in level 0 pixels (upper left corners), and attributes of that data set:
//   CLAM     patch_size (pixels of the level), patch_level, downsample (x, y), level_dim and
//            downsampled_level_dim (width, height of the level), name, save_path
//   TRIDENT  patch_size (pixels at target_magnification), patch_size_level0, level0_magnification,
//            target_magnification, overlap (pixels at target_magnification), name, savetodir,
//            level0_width, level0_height (the last two not in older files; "None": not known)
// (mahmoodlab/CLAM wsi_core/WholeSlideImage.py process_contour; mahmoodlab/TRIDENT trident/IO.py
// coords_to_h5.)
namespace stylescope {

struct TileCoords {
  std::string layout;    // "clam" or "trident"
  std::string name;      // of the slide, without ending
  torch::Tensor level0;  // (N, 2) int64, CPU: x, y
  // The tile in level 0 pixels; in CLAM's layout it need not be whole.
  double width0 = 0, height0 = 0;
  int64_t tile_px = 0;  // the tile's side as stored: in pixels of its level or magnification

  std::optional<int64_t> level;                       // CLAM
  std::optional<std::array<double, 2>> downsample;    // CLAM: of that level, x and y
  std::optional<std::array<int64_t, 2>> level_size;   // CLAM: its width and height
  std::optional<double> level0_magnification;         // TRIDENT
  std::optional<double> target_magnification;         // TRIDENT
  std::optional<double> overlap;                      // TRIDENT: pixels as in tile_px
  std::optional<std::array<int64_t, 2>> level0_size;  // TRIDENT: width and height of the slide

  // Attributes of the layout that the file lacks, or that say "None".
  std::vector<std::string> unknown;
};

// The layout is told by the attributes: patch_size_level0 or target_magnification make TRIDENT,
// patch_level CLAM. Throws Error: file, data set or attribute, what is wrong (no HDF5, no such data
// set, neither layout, a size that neither stands there nor follows from the others).
TileCoords read_coords(const std::filesystem::path& file);

// In the layout that coords.layout names. `folder` is what save_path (CLAM) or savetodir (TRIDENT)
// will say. Throws Error where the layout demands what is not known: CLAM level, downsample and
// level_size; TRIDENT both magnifications.
void write_coords(const std::filesystem::path& file, const TileCoords& coords,
                  const std::string& folder);

}  // namespace stylescope
