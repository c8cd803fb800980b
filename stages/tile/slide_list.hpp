#pragma once

#include "io/slide_mpp.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/tile/tile_config.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

// Which slides there are, of whom, in which split, and what lies beside them: settled before any of
// them is opened.
namespace stylescope {

struct ListedSlide {
  std::string name;  // names the files that are made of it; unique
  std::filesystem::path file;
  std::string subject;
  int64_t label = -1;     // class of the whole slide; -1: unknown
  bool negatives = true;  // false: what lies outside of its outlines may be positive too
  Split split = Split::train;
  std::filesystem::path annotation;  // outlines or mask; empty: none
  std::filesystem::path coords;      // CLAM's or TRIDENT's; empty: a grid
  std::filesystem::path tissue;      // corrected outlines of tissue; empty: found
  int64_t bytes = 0;
  std::string fingerprint;  // path, size and time of change of all of these
};

struct SlideList {
  std::vector<ListedSlide> slides;  // the largest first, then by name
  std::vector<BadFile> bad;         // left out for what their names or the list say
  std::vector<std::string> notes;   // for the log: errata, groups without a class, ...
  std::map<std::string, Mpp> mpp;   // from tile.mpp_csv and the list's column mpp
  int64_t listed = 0;
};

// `slides_dir`: tile.path, or where the drawn slides lie. Throws Error when a folder, the list or
// what it names is missing, when two slides have the same name, or when the list and the
// configuration contradict each other.
SlideList list_slides(const TileConfig& config, const std::filesystem::path& slides_dir,
                      uint64_t seed);

// How many slides there are to tile, without opening any: of drawn slides the configured number.
// Throws as list_slides does.
int64_t count_slides(const TileConfig& config, uint64_t seed);

// SHA-256 over what list_slides would find ("phantom" for drawn slides). Not collective.
std::string tile_fingerprint(const TileConfig& config);

}  // namespace stylescope
