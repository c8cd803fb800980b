#pragma once

#include "stages/augment/operations.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <torch/types.h>

// Every random number of the augmentation. All of them are drawn for all images of the global
// batch, on every rank: they are few, and the margin that images are padded by is the batch's.
namespace stylescope {

// An operation's number (uniform in [0,1) or standard normal) and, independent of it, the uniform
// number that decides whether the image meets the operation: gate < multiplier * p.
struct GatedDraw {
  double value = 0, gate = 1;
};
struct GatedPoint {
  double x = 0, y = 0, gate = 1;
};

// What one image draws. Operations that are off draw too, so that switching one does not change
// the others.
struct ImageDraws {
  GatedDraw xflip, rotate90;
  GatedPoint xint;
  GatedDraw scale, rotate_before, aniso, rotate_after;
  GatedPoint xfrac;
  GatedDraw brightness, contrast, lumaflip, hue, saturation;
  std::array<GatedDraw, 4> imgfilter;
  GatedDraw noise;
  GatedPoint cutout;
};

enum class Distribution { uniform, normal, gate };  // gate: uniform as well

// Calls visit(multiplier, distribution, numbers, count) for every draw of an image in the order in
// which StyleGAN2-ADA makes them; `multiplier` is the operation's member of AugmentOperations.
// (There, the noise of each pixel comes right after the noise's gate, and operations that are off
// draw nothing, nor do hue and saturation of grey images.)
template <class Visit>
void visit_draws(ImageDraws& d, Visit visit) {
  using O = AugmentOperations;
  const auto one = [&](double O::*multiplier, Distribution kind, GatedDraw& draw) {
    visit(multiplier, kind, &draw.value, 1);
    visit(multiplier, Distribution::gate, &draw.gate, 1);
  };
  const auto point = [&](double O::*multiplier, Distribution kind, GatedPoint& draw) {
    visit(multiplier, kind, &draw.x, 2);
    visit(multiplier, Distribution::gate, &draw.gate, 1);
  };
  one(&O::xflip, Distribution::uniform, d.xflip);
  one(&O::rotate90, Distribution::uniform, d.rotate90);
  point(&O::xint, Distribution::uniform, d.xint);
  one(&O::scale, Distribution::normal, d.scale);
  one(&O::rotate, Distribution::uniform, d.rotate_before);
  one(&O::aniso, Distribution::normal, d.aniso);
  one(&O::rotate, Distribution::uniform, d.rotate_after);
  point(&O::xfrac, Distribution::normal, d.xfrac);
  one(&O::brightness, Distribution::normal, d.brightness);
  one(&O::contrast, Distribution::normal, d.contrast);
  one(&O::lumaflip, Distribution::uniform, d.lumaflip);
  one(&O::hue, Distribution::uniform, d.hue);
  one(&O::saturation, Distribution::normal, d.saturation);
  for (auto& band : d.imgfilter) one(&O::imgfilter, Distribution::normal, band);
  one(&O::noise, Distribution::normal, d.noise);
  visit(&O::cutout, Distribution::gate, &d.cutout.gate, 1);
  visit(&O::cutout, Distribution::uniform, &d.cutout.x, 2);
}

// Where the numbers come from. `call` names what is augmented in the step, such as "d_main.real":
// no two calls of a step share numbers.
class AugmentSource {
 public:
  virtual ~AugmentSource() = default;
  // Of the samples 0..batch-1.
  virtual std::vector<ImageDraws> draws(int64_t step, std::string_view call, int64_t batch) = 0;
  // The pixels' noise of some samples, (samples, *shape), standard normal.
  virtual torch::Tensor noise(int64_t step, std::string_view call, at::ArrayRef<int64_t> samples,
                              at::IntArrayRef shape, const torch::TensorOptions& options) = 0;
};

// What training uses: keyed by (seed, call, step, sample).
class KeyedAugmentSource final : public AugmentSource {
 public:
  explicit KeyedAugmentSource(uint64_t seed) : seed_(seed) {}
  std::vector<ImageDraws> draws(int64_t step, std::string_view call, int64_t batch) override;
  torch::Tensor noise(int64_t step, std::string_view call, at::ArrayRef<int64_t> samples,
                      at::IntArrayRef shape, const torch::TensorOptions& options) override;

 private:
  uint64_t seed_;
};

}  // namespace stylescope
