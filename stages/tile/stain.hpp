#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

// Stain normalisation: fitted per slide on tissue pixels, applied to every tile. Optical density of
// a grey level v is -log10((v + 1) / 256): 0 for white, 2.41 for black.
//   macenko   Macenko et al. 2009, "A method for normalizing histology slides for quantitative
//   analysis": the two stain vectors are
//             the extreme directions (1st and 99th percentile of the angle) in the plane of the two
//             largest singular vectors of optical density; concentrations are scaled to the
//             target's 99th percentiles
//   reinhard  Reinhard et al. 2001, "Color transfer between images": mean and standard deviation of
//   each channel in l-alpha-beta (log10 of LMS, RGB as (v + 1) / 256)
// Pixels are fitted whose density, mean of the channels, is above 0.15 (macenko: stained pixels) or
// 0.05 (reinhard: all but glass).
namespace stylescope {

struct StainFit {
  std::string method;               // macenko | reinhard
  std::array<double, 6> vectors{};  // macenko: haematoxylin (the one that absorbs more red) then
                                    // eosin, RGB optical density, unit length
  std::array<double, 2> concentrations{};     // macenko: 99th percentiles
  std::array<double, 3> mean{}, deviation{};  // reinhard
};

// pixels: interleaved RGB of tissue only, n of them. Nothing, with `why` saying so, when there is
// too little stain to fit (fewer than 1,000 stained pixels, stain vectors closer than 5 degrees or
// not finite, deviation near 0): the caller leaves the slide as it is and says so. Needs 12 bytes a
// pixel while it works.
std::optional<StainFit> fit_stain(const std::string& method, const uint8_t* pixels, int64_t n,
                                  std::string& why);

// The look that slides are brought to when no target slide is given.
//   macenko   the reference vectors and 99th percentiles that Macenko's method is usually published
//             with (H 0.5626 0.7201 0.4062, E 0.2159 0.8012 0.5581; 1.9705, 1.0308 as natural
//             logarithms)
//   reinhard  statistics of the TCGA slide A2-A3XS-DX1 (Amgad et al. 2019), as HistomicsTK uses
//   them
StainFit default_target(const std::string& method);

// A mapping from one fit to another (of the same method), of RGB to RGB. Pixels that carry no stain
// stay as they are: below a mean density of 0.05 untouched, from 0.15 on mapped wholly, blended
// between, so that glass takes no cast. From any thread.
class StainMap {
 public:
  StainMap(const StainFit& from, const StainFit& to);
  // planar (3, n) in place.
  void apply(uint8_t* planar, int64_t n) const;

  // log2 of the channels (v + 1; of LMS for reinhard) -> matrix, offset -> and back.
  struct Steps {
    bool mixes = false;  // reinhard: RGB to LMS before, back after
    std::array<float, 9> before{}, after{}, matrix{};
    std::array<float, 3> offset{};
  };

 private:
  Steps steps_;
};

}  // namespace stylescope
