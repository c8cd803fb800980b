#pragma once

#include "stages/augment/operations.hpp"

#include <cstdint>

namespace stylescope {

// The probability p of augmentation, held so that the discriminator does not overfit (Karras et al.
// 2020, "Training Generative Adversarial Networks with Limited Data", section 3.1): r_t, the mean
// sign of D on real images, says how much it does. In mode "fixed" p stays, in mode "off" it is 0.
class AdaController {
 public:
  // batch: images a step, all ranks together.
  AdaController(const AdaConfig& config, int64_t batch);

  // Adds the signs of D(real), over all ranks, of a pass (of R1's as well as of the main one). A
  // sum that is not a number, of a training that fails, is left out.
  void observe(double sum_of_signs, double count);
  // After the step: every `interval` steps p moves by the share of `kimg` that was shown since, up
  // where r_t is above the target and down where it is below, never below 0 (it may pass 1).
  // Returns true when it was time.
  bool end_step(int64_t step);

  double p() const { return p_; }
  // The r_t that decided last; 0 before the first time.
  double rt() const { return rt_; }

  // What a checkpoint holds.
  struct State {
    double &p, &sum, &count, &rt;
  };
  State state() { return {p_, sum_, count_, rt_}; }

 private:
  bool adapts_;
  double target_;
  double move_;
  int64_t interval_;
  double p_;
  double sum_ = 0, count_ = 0;
  double rt_ = 0;
};

}  // namespace stylescope
