#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/torch.h>

// How well scores rank labels. Labels are 0/1 (int64), scores float64; both (N), CPU. Ties count
// one half. Scores that are not finite numbers, labels that are neither 0 nor 1, and different
// lengths throw Error.
namespace stylescope {

struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
};

// Area under the ROC curve (Mann-Whitney U over n1*n0). Throws Error when only one class is there.
double auc(const torch::Tensor& labels, const torch::Tensor& scores);

// DeLong, DeLong and Clarke-Pearson 1988, by Sun and Xu 2014's mid-ranks. Throws Error when a class
// has less than two samples (its variance is unknown).
struct DeLong {
  double auc = 0;
  double variance = 0;
  Interval normal;  // 95 %, clipped to [0, 1]
  Interval logit;   // 95 % on the logit scale; where the area is 0 or 1 that scale ends, and it is
                    // just the area
};
DeLong delong(const torch::Tensor& labels, const torch::Tensor& scores);
// Two scores on the same labels: z = (auc1 - auc2) / sqrt(variance of the difference). Scores of
// the same ranking give z = 0 and p = 1; areas that differ without any variance give an infinite z.
struct DeLongComparison {
  double auc1 = 0, auc2 = 0, variance1 = 0, variance2 = 0, covariance = 0, z = 0, p_two_sided = 1;
};
DeLongComparison delong_compare(const torch::Tensor& labels, const torch::Tensor& scores1,
                                const torch::Tensor& scores2);

// 95 % percentile bootstrap over subjects (linear between order statistics): whole subjects are
// drawn with replacement, keyed by `seed`; draws with a single class are drawn again. One subject a
// sample gives the ordinary bootstrap. The subjects' names and order do not matter beyond who is
// whose. O(draws * N) after one sort.
Interval bootstrap_auc(const torch::Tensor& labels, const torch::Tensor& scores,
                       const std::vector<std::string>& subjects, int64_t draws, uint64_t seed);

// Share of the labels that score >= threshold gets right.
double accuracy(const torch::Tensor& labels, const torch::Tensor& scores, double threshold);

// From (0, 0), at an infinite threshold, to (1, 1): one point for each distinct score, falling.
// Throws Error when only one class is there.
struct RocPoint {
  double false_positive_rate, true_positive_rate, threshold;
};
std::vector<RocPoint> roc_curve(const torch::Tensor& labels, const torch::Tensor& scores);

}  // namespace stylescope
