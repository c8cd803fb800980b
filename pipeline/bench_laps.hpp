#pragma once

#include "pipeline/bench_timing.hpp"
#include "stages/gan/gan_draws.hpp"

#include <array>
#include <optional>

// How the phases of a GAN step are told apart without the trainer knowing.
namespace stylescope {

// Time and arithmetic since the last lap.
class Laps {
 public:
  explicit Laps(torch::Device device) : device_(device) {}
  struct Lap {
    double seconds = 0, operations = 0;
  };
  // Ends the lap under way, if any, and starts one by this name.
  void start(Phase phase) {
    stop();
    phase_ = phase;
    begin_ = device_clock(device_);
    counted_ = counter_ ? counter_->count() : 0;
  }
  void stop() {
    if (phase_)
      laps_[static_cast<size_t>(*phase_)] = {device_clock(device_) - begin_,
                                             (counter_ ? counter_->count() : 0) - counted_};
    phase_.reset();
  }
  const Lap& operator[](Phase phase) const { return laps_[static_cast<size_t>(phase)]; }
  void count_with(const FlopCounter* counter) { counter_ = counter; }

 private:
  torch::Device device_;
  std::array<Lap, 4> laps_;
  std::optional<Phase> phase_;
  double begin_ = 0, counted_ = 0;
  const FlopCounter* counter_ = nullptr;
};

// Training's own draws. A phase that generates starts by asking for its latents: that is the lap.
class TimedDraws final : public GanDraws {
 public:
  TimedDraws(GanDraws& draws, Laps& laps) : draws_(draws), laps_(laps) {}
  torch::Tensor latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override {
    laps_.start(phase);
    return draws_.latents(step, phase, samples);
  }
  torch::Tensor mixing_latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override {
    return draws_.mixing_latents(step, phase, samples);
  }
  int64_t mixing_cutoff(int64_t step, Phase phase) override {
    return draws_.mixing_cutoff(step, phase);
  }
  torch::Tensor path_noise(int64_t step, at::ArrayRef<int64_t> samples) override {
    return draws_.path_noise(step, samples);
  }
  Noise layer_noise(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override {
    return draws_.layer_noise(step, phase, samples);
  }
  torch::Tensor label_rows(int64_t step, Phase phase, at::ArrayRef<int64_t> samples,
                           int64_t rows) override {
    return draws_.label_rows(step, phase, samples, rows);
  }

 private:
  GanDraws& draws_;
  Laps& laps_;
};

}  // namespace stylescope
