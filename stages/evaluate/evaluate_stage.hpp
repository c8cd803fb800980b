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
//
//   images, subjects, positive_share
//   f_true_label, surrogate_true_label {auc, delong, accuracy, brier, calibration_error}:
//       f(x) and f~(E(x)) against the true label (positive: a class in the classifier's list)
//   comparison {difference, z, p}: f less f~ on the true label, paired DeLong
//   surrogate_f_label {images, auc, delong, accuracy}:
//       f~(w) against f's label on the held-out synthetic images
//   agreement {same_answer, kappa, pearson_logits, spearman}: f and f~ on real test images
//   reconstruction {mean_absolute_error, psnr, same_answer, mean_change_of_f, pearson_logits}:
//       x and G(E(x)), and f of both
//   strips {images, mean_lowest, mean_highest, ends_higher, rising, crossing_up, crossing_down}:
//       of explain; mean f at the two ends of lambda, and shares of the images in which f ends
//       higher; also never falls by more than 0.01 from one lambda to the next; starts below 0.5
//       at lambda 0 and reaches it above (of those that start below); the other way round
//   associations [{attribute, images, overall, within_label}]: what else goes along with f
//       (associations.hpp)
//   phantom {images, sd, causing, nuisance, ratio, ...}: phantom data only (phantom_change.hpp)
//
// auc and delong are {value, low, high} with 95 % intervals, by bootstrap over subjects and by
// DeLong.
// A figure that is not defined (a held-out part of one class) is null.
nlohmann::json run_evaluate(const EvaluateConfig& config, RunContext& context);

}  // namespace stylescope
