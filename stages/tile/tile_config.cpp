#include "stages/tile/tile_config.hpp"

#include "stages/images/config_checks.hpp"

#include <bit>
#include <cmath>
#include <regex>
#include <set>

#include <torch/torch.h>

namespace stylescope {

void DrawnSlidesConfig::describe(Fields& f) {
  f.field("slides", slides, {4, 10'000}, "slides drawn, half of them with metastases");
  f.field("width", slide.width, {256, 1'000'000}, "pixels of level 0");
  f.field("height", slide.height, {256, 1'000'000}, "pixels of level 0");
  f.field("mpp", slide.mpp, {0.05, 20}, "micrometres a pixel of level 0");
  f.field("pen", slide.pen, "some slides have marks of a pen");
  f.field("black_padding", slide.black_padding, "some slides have black edges");
}

void TileLabelConfig::describe(Fields& f) {
  f.choice("from", from, {"outlines", "masks", "slides"},
           "what says which tile is positive: outlines (ASAP's XML, GeoJSON), mask TIFFs, or the "
           "class of the whole slide");
  f.field("annotations", annotations,
          "folder of outlines or masks, named like the slides; empty: beside the slides");
  f.field("positive", positive, "groups of outlines that are positive");
  f.field("exclusion", exclusion, "groups that are not, applied last");
  f.choice("rule", rule, {"fraction", "centre"},
           "fraction: by the covered share of the tile; centre: positive when any of its centre "
           "square is covered, as PCam does");
  f.field("min_positive", min_positive, {0, 1}, "covered share from which a tile is positive");
  f.field("max_negative", max_negative, {0, 1},
          "covered share up to which it is negative; what lies between is left out");
  f.field("centre_px", centre_px, {1, 1024}, "side of the centre square, in pixels of the tile");
  f.field("mask_value", mask_value, {0, 255}, "pixels of a mask at least this are positive");
  f.choice("unannotated", unannotated, {"auto", "negative", "skip"},
           "slides without outlines: negative, left out, or (auto) negative where their class says "
           "so and else left out");
}

void TileSampleConfig::describe(Fields& f) {
  f.field("positive", positive, {0, 100'000'000}, "positive tiles of a slide at most; 0: all");
  f.field("negative", negative, {0, 100'000'000}, "negative tiles of a slide at most; 0: all");
  f.field("hard_negatives", hard_negatives, {0, 1},
          "share of the negative ones of a slide with outlines that lie near an outline");
  f.field("border_um", border_um, {0, 1e6}, "how near that is");
}

void TileSplitConfig::describe(Fields& f) {
  f.choice("mode", mode, {"random", "list", "camelyon16"},
           "random: by subject, stratified by the slide's class; list: as the list says; "
           "camelyon16: its official test set, the others by train and val");
  f.field("train", train, {0, 1}, "share of the subjects that train");
  f.field("val", val, {0, 1}, "share that validates");
  f.field("test", test, {0, 1}, "share that only evaluate and explain see (mode random)");
}

void StainConfig::describe(Fields& f) {
  f.choice("method", method, {"none", "macenko", "reinhard"},
           "stain normalisation, fitted on each slide's tissue");
  f.field("target", target, "the slide that all are made to look like; empty: a built-in look");
}

void TileConfig::describe(Fields& f) {
  f.choice("source", source, {"slides", "phantom"}, "whole-slide images, or drawn ones");
  f.field("path", path, "the folder of slides, searched with all its folders");
  f.field(
      "list", list,
      "CSV of the slides to take: slide[,subject,class,split,annotation,mpp]; empty: all of path");
  f.choice("dataset", dataset, {"none", "camelyon16"},
           "whose names, errata and official split are known");
  f.section("phantom", phantom, "what is drawn when source is phantom");
  f.field("subject_regex", subject_regex,
          "finds the subject in a slide's file name: its first group, or all that matches; empty: "
          "the name without its ending");
  f.field("class_names", class_names, "of the tiles; the first is the negative one");
  f.field("mpp", mpp, {0.05, 20}, "micrometres a pixel of the tiles, exactly, whatever the levels");
  f.field("tile_px", tile_px, {16, 1024}, "rows and columns of a tile, a power of two");
  f.field("stride", stride, {0.01, 100}, "from tile to tile, in tiles; below 1 they overlap");
  f.choice("filter", filter, {"area", "lanczos"}, "resampling");
  f.field("mpp_csv", mpp_csv, "CSV slide,mpp for slides that do not say it themselves");
  f.field("coords", coords,
          "folder of CLAM's or TRIDENT's coordinate files, <slide>.h5: their tiles, instead of a "
          "grid and a tissue mask");
  f.section("tissue", tissue, "how tissue is told from glass");
  f.field("min_tissue", min_tissue, {0, 1}, "share of tissue that a tile must have");
  f.field("tissue_outlines", tissue_outlines,
          "folder of corrected tissue outlines, <slide>.geojson, as in tile/tissue/");
  f.section("quality", quality, "which tiles are left out for their own pixels");
  f.section("labels", labels, "which class a tile has");
  f.section("sample", sample, "how many tiles of each slide");
  f.section("split", split, "which subjects train, validate and test");
  f.section("stain", stain, "stain normalisation");
  f.section("audit", audit, "which tiles of different splits are too much alike");
  f.choice("reader", reader, {"automatic", "openslide", "direct"},
           "direct: tiled JPEG TIFFs, past OpenSlide; automatic: direct where it can");
  f.field("dct_scaling", dct_scaling,
          "direct reader: scale inside the JPEG decoder, faster and less exact");
  f.field("cache_mb", cache_mb, {1, 1 << 20}, "decoded tiles kept by the direct reader, a rank");
  f.choice("storage", storage, {"none", "lz4", "zstd", "jpeg"},
           "of the pixels; jpeg: the slide's own JPEG tiles where the grid fits, zstd elsewhere");
  f.field("max_bad_fraction", max_bad_fraction, {0, 1},
          "share of slides without usable tiles above which the stage fails, and of a slide's "
          "tiles that "
          "cannot be read above which it counts as one");
  f.field("threads", threads, {0, 4096}, "of a rank; 0: as for the other stages");
}

void TileConfig::check() const {
  require(
      std::has_single_bit(static_cast<uint64_t>(tile_px)), "tile.tile_px: ", tile_px,
      " is no power of two; use 16, 32, 64, 128, 256, 512 or 1024 (mpp sets what a tile shows)");
  require(source != "slides" || !path.empty() || !list.empty(),
          "tile.path: is empty (source is slides); give the folder that holds them");
  require(source != "phantom" || (path.empty() && list.empty()),
          "tile.path: given (drawn slides need none); remove it, or set source: slides");
  require(source != "phantom" || split.mode == "random", "tile.split.mode: ", split.mode,
          " (source is phantom); use random");
  require(class_names.size() >= 2, "tile.class_names: has ", class_names.size(),
          " names (a classifier needs two); add one");
  require(
      std::set<std::string>(class_names.begin(), class_names.end()).size() == class_names.size(),
      "tile.class_names: names a class twice; remove one");
  require(labels.from == "slides" || class_names.size() == 2, "tile.class_names: has ",
          class_names.size(), " names (labels.from is ", labels.from,
          ", which tells positive from negative); give two");
  require(labels.max_negative < labels.min_positive,
          "tile.labels.max_negative: ", labels.max_negative, " is not below min_positive, ",
          labels.min_positive, "; lower it");
  require(labels.rule != "centre" || labels.centre_px <= tile_px,
          "tile.labels.centre_px: ", labels.centre_px, " is more than tile_px, ", tile_px,
          "; lower it");
  const double sum =
      split.mode == "random" ? split.train + split.val + split.test : split.train + split.val;
  require(split.mode != "random" || std::abs(sum - 1) < 1e-6, "tile.split: train + val + test is ",
          sum, "; make it 1");
  require(split.mode != "camelyon16" || (split.train > 0 && split.val > 0),
          "tile.split: train and val must both be above 0 (mode camelyon16)");
  require(split.mode != "list" || !list.empty(),
          "tile.split.mode: list (tile.list names no file); give one with a column split");
  require(split.mode != "camelyon16" || dataset == "camelyon16",
          "tile.split.mode: camelyon16 (tile.dataset is ", dataset, "); set dataset: camelyon16");
  require(
      storage != "jpeg" || stain.method == "none",
      "tile.storage: jpeg (keeps the slide's own JPEG, and stain.method changes the pixels); use "
      "zstd, or stain.method: none");
  require(
      sample.hard_negatives == 0 || (labels.from == "outlines" && sample.negative > 0),
      "tile.sample.hard_negatives: ", sample.hard_negatives,
      " (nearness to an outline counts where labels.from is outlines and sample.negative says how "
      "many are taken); set them, or make it 0");
  require(audit.near_duplicates != "drop",
          "tile.audit.near_duplicates: drop (tiles lie in their slides' files); use stop or warn, "
          "and take one of the slides out");
  require(!dct_scaling || reader != "openslide",
          "tile.dct_scaling: true (OpenSlide cannot); use reader: direct");
  try {
    std::regex{subject_regex};
  } catch (const std::regex_error& error) {
    throw UsageError(detail::concatenate("tile.subject_regex: '", subject_regex,
                                         "' is no regular expression (", error.what(), ")"));
  }
}

SlideOptions TileConfig::slide_options() const {
  SlideOptions options;
  options.reader = reader == "openslide" ? SlideReader::openslide
                   : reader == "direct"  ? SlideReader::direct
                                         : SlideReader::automatic;
  options.cache_bytes = cache_mb << 20;
  options.dct_scaling = dct_scaling;
  return options;
}

Storage TileConfig::storage_kind() const {
  for (const Storage kind : {Storage::lz4, Storage::zstd, Storage::jpeg})
    if (to_string(kind) == storage) return kind;
  return Storage::none;
}

int64_t TileConfig::thread_count() const {
  return threads > 0 ? threads : torch::get_num_threads();
}

}  // namespace stylescope
