#pragma once

#include "io/base/fields.hpp"
#include "io/image_set.hpp"
#include "io/slide.hpp"
#include "stages/audit/audit_config.hpp"
#include "stages/phantom/slide_phantom.hpp"
#include "stages/tile/resample.hpp"
#include "stages/tile/tile_quality.hpp"
#include "stages/tile/tissue_mask.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// What the slides are when the stage draws them itself.
struct DrawnSlidesConfig {
  int64_t slides = 12;
  SlidePhantomConfig slide;
  void describe(Fields& f);
};

// Which class a tile has.
struct TileLabelConfig {
  std::string from = "outlines";  // outlines | masks | slides
  std::string annotations;        // "": beside the slides
  std::vector<std::string> positive = {"Tumor", "_0", "_1"};
  std::vector<std::string> exclusion = {"_2", "Exclusion", "None"};
  std::string rule = "fraction";  // fraction | centre
  double min_positive = 0.5, max_negative = 0;
  int64_t centre_px = 32;
  double mask_value = 1;
  std::string unannotated = "auto";  // auto | negative | skip
  void describe(Fields& f);
};

// How many tiles of a slide; 0: all of them.
struct TileSampleConfig {
  int64_t positive = 0, negative = 0;
  double hard_negatives = 0;
  double border_um = 250;
  void describe(Fields& f);
};

struct TileSplitConfig {
  std::string mode = "random";  // random | list | camelyon16
  double train = 0.7, val = 0.15, test = 0.15;
  void describe(Fields& f);
};

struct StainConfig {
  std::string method = "none";  // none | macenko | reinhard
  std::string target;           // a slide; "": the built-in target
  void describe(Fields& f);
};

struct TileConfig {
  std::string source = "slides";  // slides | phantom
  std::string path;
  std::string list;
  std::string dataset = "none";  // none | camelyon16
  DrawnSlidesConfig phantom;
  std::string subject_regex;
  std::vector<std::string> class_names = {"normal", "tumor"};

  double mpp = 0.5;
  int64_t tile_px = 256;
  double stride = 1;
  std::string filter = "area";
  std::string mpp_csv;
  std::string coords;

  TissueConfig tissue;
  double min_tissue = 0.5;
  std::string tissue_outlines;
  QualityConfig quality;
  TileLabelConfig labels;
  TileSampleConfig sample;
  TileSplitConfig split;
  StainConfig stain;
  AuditConfig audit;

  std::string reader = "automatic";
  bool dct_scaling = false;
  int64_t cache_mb = 256;
  std::string storage = "none";
  double max_bad_fraction = 0.01;
  int64_t threads = 0;

  void describe(Fields& f);
  // What ranges alone cannot say. Throws UsageError naming the key.
  void check() const;

  SlideOptions slide_options() const;
  Storage storage_kind() const;
  // Of this rank: `threads`, or those that the program gave LibTorch.
  int64_t thread_count() const;
};

}  // namespace stylescope
