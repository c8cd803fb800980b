#pragma once

#include <cstdint>
#include <string>

namespace stylescope {

// The learning rate of every step, a pure function of the step.
struct Schedule {
  // constant: peak, after a linear warm-up.
  // cosine: after the warm-up, half a cosine from peak down to 0 (Loshchilov and Hutter 2017,
  // without restarts). one_cycle: half a cosine up from peak / 25 to peak, and one down to peak /
  // 250000 (Smith and Topin 2018, in PyTorch's
  //   form: the peak lies at step warmup * total_steps - 1, the end at total_steps - 1).
  std::string kind = "cosine";
  double peak = 1e-3;
  double warmup = 0;  // share of the steps, 0..1; one_cycle: 0 stands for 0.3
  int64_t total_steps = 1;

  // 0 <= step < total_steps.
  double learning_rate(int64_t step) const;
};

}  // namespace stylescope
