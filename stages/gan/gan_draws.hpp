#pragma once

#include "stages/networks/generator.hpp"

#include <cstdint>
#include <string_view>

#include <torch/torch.h>

// Every random number of GAN training. The trainer asks by step, phase and global sample index;
// tests give golden numbers instead.
namespace stylescope {

enum class Phase { g_main, g_path, d_main, d_r1 };
std::string_view to_string(Phase phase);

class GanDraws {
 public:
  virtual ~GanDraws() = default;
  // z of the generated images, and the second z of style mixing: (samples, z_dim), standard normal.
  virtual torch::Tensor latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) = 0;
  virtual torch::Tensor mixing_latents(int64_t step, Phase phase,
                                       at::ArrayRef<int64_t> samples) = 0;
  // The first of the num_ws latents that mixing replaces, 1..num_ws-1; num_ws: none. One for the
  // whole step.
  virtual int64_t mixing_cutoff(int64_t step, Phase phase) = 0;
  // The images' noise in the path length: (samples, C, H, W), standard normal.
  virtual torch::Tensor path_noise(int64_t step, at::ArrayRef<int64_t> samples) = 0;
  virtual Noise layer_noise(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) = 0;
  // Which rows of the data set the generated images take their class from.
  virtual torch::Tensor label_rows(int64_t step, Phase phase, at::ArrayRef<int64_t> samples,
                                   int64_t rows) = 0;
};

// What training uses: keyed by (seed, phase, step, sample).
class KeyedGanDraws final : public GanDraws {
 public:
  KeyedGanDraws(uint64_t seed, const GeneratorOptions& generator, double style_mixing,
                bool random_noise, torch::TensorOptions options);
  // Other numbers for a training that has stepped back; 0: the first attempt.
  void set_attempt(int64_t attempt);
  torch::Tensor latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override;
  torch::Tensor mixing_latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override;
  int64_t mixing_cutoff(int64_t step, Phase phase) override;
  torch::Tensor path_noise(int64_t step, at::ArrayRef<int64_t> samples) override;
  Noise layer_noise(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override;
  torch::Tensor label_rows(int64_t step, Phase phase, at::ArrayRef<int64_t> samples,
                           int64_t rows) override;

 private:
  uint64_t first_seed_, seed_;
  GeneratorOptions generator_;
  double style_mixing_;
  bool random_noise_;
  torch::TensorOptions options_;
};

}  // namespace stylescope
