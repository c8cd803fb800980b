#pragma once

#include "io/base/fields.hpp"
#include "stages/run_context.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

namespace stylescope {

struct EvaluateConfig {
  int64_t bootstrap = 2000;
  int64_t batch = 64;
  int64_t phantom_images = 200;
  double phantom_sd = 2;

  void describe(Fields& f);
};

// How good f is, how well f~ imitates it, and what the explanations are worth, on the test split.
// Reads all earlier stages; writes evaluation.json:
//   images, subjects, positive_share
//   f_true_label, surrogate_true_label: {auc, delong (both {value, low, high}, 95 %), accuracy,
//   brier, calibration_error}
//       of f(x) and of f~(E(x)) against the true label (positive: a class in the classifier's list)
//   comparison: f against f~ on the true label, paired DeLong {difference, z, p}
//   surrogate_f_label: of f~(w) against f's label on the held-out synthetic images {images, auc,
//   delong, accuracy} agreement: of f and f~ on real test images {same_answer, kappa,
//   pearson_logits, spearman} reconstruction: of x by G(E(x)) {mean_absolute_error, psnr,
//   same_answer, pearson_logits (of f)} strips: of explain {images, rising, crossing_up,
//   crossing_down}: shares in which f never falls by more than 0.01 from
//       one lambda to the next and ends higher; in which f is below 0.5 at lambda 0 and reaches it
//       above; the other way round
//   phantom (phantom data only): {images, sd, causing, nuisance, ratio, ...}, see
//   stages/evaluate/phantom_change.hpp
// A figure that is not defined (a held-out part of one class) is null.
nlohmann::json run_evaluate(const EvaluateConfig& config, RunContext& context);

}  // namespace stylescope
