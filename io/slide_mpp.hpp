#pragma once

#include "io/slide.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

// Micrometres per pixel of level 0: never guessed.
namespace stylescope {

struct Mpp {
  double x = 0, y = 0;
  std::string source;  // "openslide.mpp", "tiff resolution", "<csv file>"
};

// From openslide.mpp-x/y, else the TIFF's resolution and unit (centimetre or inch; not "none");
// what is not in 0.05 .. 20 does not count. `csv`: from read_mpp_csv, asked last, by file name and
// then by stem. Nothing: none of them knows.
std::optional<Mpp> find_mpp(const Slide& slide, const std::map<std::string, Mpp>& csv);

// Lines "slide,mpp" or "slide,mpp_x,mpp_y", with a header line naming the columns. Throws Error
// with file and line for what is no number, out of range or named twice.
std::map<std::string, Mpp> read_mpp_csv(const std::filesystem::path& file);

}  // namespace stylescope
