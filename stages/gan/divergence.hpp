#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace stylescope {

struct GanStepFigures;

// The section gan.sentinel: when training counts as diverged, and what happens then.
struct SentinelConfig {
  bool on = true;
  int64_t patience = 20;
  double anchor_kimg = 0;
  double logit_gap = 200;
  double gradient_growth = 1000;
  int64_t retries = 3;
  double learning_rate_factor = 0.5;
  void describe(Fields& f);
};

// Watches the figures of every step. A step is suspect when a loss or a gradient's norm is not
// finite, when gradients had to be sanitised, when the mean logits of real and generated images lie
// further apart than logit_gap, or when a gradient's norm is more than gradient_growth times its
// running geometric mean. `patience` suspect steps on end are a divergence. All ranks feed the same
// figures and come to the same answer.
class DivergenceSentinel {
 public:
  explicit DivergenceSentinel(const SentinelConfig& config) : config_(config) {}

  // The reason, once enough steps on end were suspect.
  std::optional<std::string> check(int64_t step, const GanStepFigures& figures);

  // Everything that check() changes, for the checkpoint.
  struct State {
    int64_t suspect = 0;  // steps on end
    int64_t since = -1;   // the first of them
    int64_t observed = 0;
    double log_norm_g = 0, log_norm_d = 0;  // running means of the norms' logarithms
  };
  State& state() { return state_; }
  const State& state() const { return state_; }

 private:
  std::string suspicion(const GanStepFigures& figures) const;
  void learn(const GanStepFigures& figures);

  SentinelConfig config_;
  State state_;
};

}  // namespace stylescope
