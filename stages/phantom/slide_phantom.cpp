#include "stages/phantom/slide_phantom.hpp"

#include "io/tiff_pyramid.hpp"
#include "stages/phantom/slide_anatomy.hpp"
#include "stages/phantom/slide_painter.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iomanip>
#include <sstream>

namespace stylescope {
namespace {

Shape shape_of(const Blob& blob, const std::string& group, size_t number) {
  return {blob.ring(), {}, "Annotation " + std::to_string(number), group};
}

int64_t block_of(int64_t pixel) {
  return (pixel >= 0 ? pixel / kBlock : (pixel - kBlock + 1) / kBlock) * kBlock;
}

std::string slide_name(const SlidePhantom& phantom, int64_t slide) {
  std::ostringstream name;
  name << (phantom.tumour() ? "tumor_" : "normal_") << std::setw(3) << std::setfill('0')
       << slide + 1;
  return name.str();
}

}  // namespace

SlidePhantom::SlidePhantom(const SlidePhantomConfig& config, uint64_t seed, int64_t slide)
    : config_(config),
      anatomy_(std::make_shared<const SlideAnatomy>(make_anatomy(config, seed, slide))) {
  for (const auto& blob : anatomy_->tumour)
    outlines_.push_back(shape_of(blob, "Tumor", outlines_.size()));
  for (const auto& blob : anatomy_->islands)
    outlines_.push_back(shape_of(blob, "Exclusion", outlines_.size()));
  for (const auto& piece : anatomy_->tissue) {
    tissue_.push_back(shape_of(piece, "Tissue", tissue_.size()));
    for (const auto& hole : anatomy_->fat)
      if (piece.depth(hole.x(), hole.y(), 1) > 0) tissue_.back().holes.push_back(hole.ring());
  }
}

bool SlidePhantom::draw(int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb) const {
  SlidePainter painter(*anatomy_, config_.mpp);
  std::array<uint8_t, 3 * kBlock * kBlock> block;
  bool something = false;
  for (int64_t top = block_of(y); top < y + height; top += kBlock) {
    for (int64_t left = block_of(x); left < x + width; left += kBlock) {
      something |= painter.paint(left, top, block.data());
      const int64_t first = std::max(x, left), last = std::min(x + width, left + kBlock);
      for (int64_t row = std::max(y, top); row < std::min(y + height, top + kBlock); ++row)
        std::memcpy(rgb + 3 * ((row - y) * width + first - x),
                    block.data() + 3 * ((row - top) * kBlock + first - left),
                    static_cast<size_t>(3 * (last - first)));
    }
  }
  return something;
}

bool SlidePhantom::tumour() const { return !anatomy_->tumour.empty(); }
const std::vector<Shape>& SlidePhantom::outlines() const { return outlines_; }
const std::vector<Shape>& SlidePhantom::tissue() const { return tissue_; }
const SlideStain& SlidePhantom::stain() const { return anatomy_->stain; }

std::vector<std::filesystem::path> write_slide_phantoms(const std::filesystem::path& dir,
                                                        const SlidePhantomConfig& config,
                                                        uint64_t seed, int64_t slides,
                                                        int64_t threads) {
  std::filesystem::create_directories(dir);
  TiffPyramidOptions options;
  options.width = config.width;
  options.height = config.height;
  options.mpp = config.mpp;
  std::vector<std::filesystem::path> files;
  for (int64_t slide = 0; slide < slides; ++slide) {
    const SlidePhantom phantom(config, seed, slide);
    const auto stem = dir / slide_name(phantom, slide);
    // The outlines first: a slide that is there has them.
    const auto outlines = std::filesystem::path(stem).replace_extension(".xml");
    if (phantom.tumour() && !std::filesystem::exists(outlines))
      write_asap_xml(outlines, phantom.outlines());
    files.push_back(std::filesystem::path(stem).replace_extension(".tif"));
    if (std::filesystem::exists(files.back())) continue;
    const auto draw = [&](int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb) {
      return phantom.draw(x, y, width, height, rgb);
    };
    write_tiff_pyramid(files.back(), options, draw, threads);
  }
  return files;
}

}  // namespace stylescope
