#pragma once

#include "io/image_set.hpp"
#include "stages/metrics/streaming_moments.hpp"
#include "stages/networks/generator.hpp"
#include "stages/quality/feature_network.hpp"
#include "stages/quality/metrics_config.hpp"
#include "stages/run_context.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// A figure with what it hangs on: one that is told without these cannot be compared.
struct QualityFigure {
  // frechet_distance, kernel_distance (of Inception's features: fid, kid), precision, recall,
  // path_length.
  std::string metric;
  double value = 0;
  double deviation =
      std::numeric_limits<double>::quiet_NaN();  // over the kernel distance's subsets
  std::string features;                          // FeatureNetwork::name()
  int64_t real = 0, generated = 0;               // images of each kind
  std::string remark;

  // "frechet_distance[classifier-features]", "fid".
  std::string name() const;
};

struct QualityResult {
  std::vector<QualityFigure> figures;
  std::vector<std::string> warnings;  // what makes a figure biased
  torch::Tensor generated;            // features (N, d); undefined when no figure needed them

  // The first figure that is a Frechet distance.
  const QualityFigure* frechet() const;
};

// Compares generators with the training images, again and again with the same latents and noise
// (context.seed). All ranks share the work, and get the same values; their number changes them by
// the rounding of float64 sums alone.
class QualityMeter {
 public:
  // All of them must outlive it.
  QualityMeter(const MetricsConfig& config, const ImageSet& images, FeatureNetwork& network,
               RunContext& context);

  // The figures that the configuration asks for. Throws Error when the generator or the images do
  // not fit the network. Collective.
  QualityResult measure(Generator generator);

  // Of the training images, made at the first call. Collective.
  const torch::Tensor& real_features();
  const std::vector<int64_t>& real_rows() const { return rows_; }

 private:
  void add_frechet(QualityResult& result);
  void add_kernel(QualityResult& result);
  void add_precision_recall(QualityResult& result);
  QualityFigure figure(const std::string& metric, const QualityResult& result) const;

  const MetricsConfig& config_;
  const ImageSet& images_;
  FeatureNetwork& network_;
  RunContext& context_;
  std::vector<int64_t> rows_;
  torch::Tensor real_;
  std::optional<Moments> real_moments_;
};

}  // namespace stylescope
