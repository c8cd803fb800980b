#pragma once

#include "io/annotation.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

// Lymph-node-like slides of our own: pale glass, tissue with purple nuclei on pink, fat holes; in
// half of the slides metastases whose cause of being "tumour" is one measurable thing, large pale
// nuclei in place of small dark ones, beside nuisances that cause nothing (stain strength, eosin,
// noise, differing between slides). A function of (seed, slide): any region can be drawn by itself.
// Slides with an odd number hold tumour, 15 to 36 % of the tissue.
namespace stylescope {

struct SlidePhantomConfig {
  int64_t width = 4096, height = 4096;  // level 0 pixels
  double mpp = 0.5;
  bool pen = true, black_padding = true;  // some slides have them
};

// What differs between slides and causes nothing.
struct SlideStain {
  double haematoxylin = 1, eosin = 1;  // strengths, 0.75..1.25
  double noise = 2;                    // standard deviation, grey levels
};

struct SlideAnatomy;

class SlidePhantom {
 public:
  SlidePhantom(const SlidePhantomConfig& config, uint64_t seed, int64_t slide);
  // Interleaved RGB of the rectangle at (x, y) of level 0; false: nothing but glass is there (it is
  // drawn all the same). From any thread; the same bits whatever the rectangles.
  bool draw(int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb) const;
  bool tumour() const;
  // The true outlines: group "Tumor", and "Exclusion" for islands of normal tissue inside.
  const std::vector<Shape>& outlines() const;
  // The outline(s) of the tissue, with the fat as holes.
  const std::vector<Shape>& tissue() const;
  const SlideStain& stain() const;

 private:
  SlidePhantomConfig config_;
  std::shared_ptr<const SlideAnatomy> anatomy_;
  std::vector<Shape> outlines_, tissue_;
};

// slides: <dir>/{normal,tumor}_NNN.tif, NNN from 001 (slide 0), and, for tumours,
// <dir>/tumor_NNN.xml (ASAP). A file that is there is not written again. Gives the slides' files.
// Throws Error.
std::vector<std::filesystem::path> write_slide_phantoms(const std::filesystem::path& dir,
                                                        const SlidePhantomConfig& config,
                                                        uint64_t seed, int64_t slides,
                                                        int64_t threads);

}  // namespace stylescope
