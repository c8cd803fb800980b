#pragma once

#include "stages/metrics/ranking.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <torch/torch.h>

// How far two judges agree, and how far probabilities can be taken at their word. Everything (N),
// CPU, float64 unless said. Different lengths and empty inputs throw Error.
namespace stylescope {

// Product-moment correlation; NaN where one of them is constant.
double pearson(const torch::Tensor& a, const torch::Tensor& b);
// Ranks 1..n; equal values share the mean of their ranks.
torch::Tensor ranks_of(const torch::Tensor& values);
// Correlation of mid-ranks (Spearman 1904); NaN where one of them is constant.
double spearman(const torch::Tensor& a, const torch::Tensor& b);

// Agreement beyond chance of two 0/1 judgements (Cohen 1960), int64. NaN where both give one and
// the same answer throughout: nothing is left beyond chance.
double cohen_kappa(const torch::Tensor& a, const torch::Tensor& b);

// log(p / (1 - p)), p moved into [1e-12, 1 - 1e-12].
torch::Tensor logit_of(const torch::Tensor& probability);

// Mean squared difference of probability and 0/1 label (Brier 1950).
double brier_score(const torch::Tensor& labels, const torch::Tensor& probability);
// Expected calibration error (Naeini et al. 2015) over `bins` equal intervals of [0, 1]: the
// difference of mean probability and share of positives in each, weighted by its samples.
double expected_calibration_error(const torch::Tensor& labels, const torch::Tensor& probability,
                                  int64_t bins = 10);

// 95 % percentile bootstrap over subjects of any statistic of sample indices (with repeats): whole
// subjects are drawn with replacement, keyed by `seed`. Draws for which the statistic is no finite
// number are left out; NaN bounds where none is left. `value` is the statistic of all samples.
Interval bootstrap_subjects(const std::vector<std::string>& subjects, int64_t draws, uint64_t seed,
                            const std::function<double(const std::vector<int64_t>&)>& statistic);

}  // namespace stylescope
