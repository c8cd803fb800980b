#pragma once

#include "stages/augment/draws.hpp"
#include "tests/support/golden.hpp"

#include <functional>
#include <string>
#include <vector>

// StyleGAN2-ADA's own random numbers for our augmentation.
namespace stylescope::golden {

// The draws of a batch from the list of tensors that an AugmentPipe call consumed: next(n, kind,
// count) is its n-th, (batch, count) after flattening. What is off has drawn nothing.
inline std::vector<ImageDraws> replay_draws(
    const AugmentOperations& operations, int64_t channels, int64_t batch,
    const std::function<torch::Tensor(int64_t n, Distribution kind, int64_t count)>& next) {
  using O = AugmentOperations;
  std::vector<torch::Tensor> tensors;
  std::vector<ImageDraws> all(static_cast<size_t>(batch));
  for (int64_t image = 0; image < batch; ++image) {
    size_t n = 0;
    visit_draws(all[static_cast<size_t>(image)], [&](double O::*multiplier, Distribution kind,
                                                     double* numbers, int count) {
      const bool colour = multiplier == &O::hue || multiplier == &O::saturation;
      if (operations.*multiplier == 0 || (colour && channels == 1)) return;
      if (n >= tensors.size())
        tensors.push_back(
            next(static_cast<int64_t>(n), kind, count).to(torch::kFloat64).reshape({batch, count}));
      for (int i = 0; i < count; ++i) numbers[i] = tensors[n][image][i].item<double>();
      ++n;
    });
  }
  return all;
}

// The draws of the golden loop (README, "loop"): 16x16x1, batch 8, pipe bgc. Calls are named as in
// training: "g_main.gen", "d_main.gen", "d_main.real", "d_r1.real".
class LoopAugmentSource final : public AugmentSource {
 public:
  std::vector<ImageDraws> draws(int64_t step, std::string_view call, int64_t batch) override {
    const std::string stem = "loop.aug." + std::to_string(step) + "." + golden_name(call) + ".";
    return replay_draws(operations_of("bgc"), 1, batch,
                        [&](int64_t n, Distribution kind, int64_t count) {
                          const std::string name = stem + std::to_string(n);
                          return kind == Distribution::normal ? values(name, 21, {batch, count})
                                                              : uniform(name, 21, {batch, count});
                        });
  }
  torch::Tensor noise(int64_t, std::string_view, at::ArrayRef<int64_t>, at::IntArrayRef,
                      const torch::TensorOptions&) override {
    return {};
  }
  static std::string golden_name(std::string_view call) {
    const std::string name(call);
    if (name == "g_main.gen") return "Gmain.gen";
    if (name == "d_main.gen") return "Dmain.gen";
    return name == "d_main.real" ? "Dmain.real" : "Dreg.real";
  }
};

}  // namespace stylescope::golden
