#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// How a generator's images are compared with the training images.
struct MetricsConfig {
  std::vector<std::string> figures = {"fd", "kid"};  // fd, kid, pr, ppl (and memorisation)
  int64_t images = 10000;
  int64_t real_images = 0;  // 0: all training images
  std::string features = "classifier";
  std::string feature_file;
  std::string feature_input = "uint8";
  double psi = 1;
  std::string noise = "random";
  int64_t batch = 50;
  int64_t kid_subsets = 100;
  int64_t kid_subset_size = 1000;
  int64_t neighbours = 3;

  void describe(Fields& f);
  // What ranges alone cannot say. `allowed`: the figures that can be asked for here; `section`:
  // what stands before the keys in messages, such as "gan.metrics.". Throws UsageError.
  void check(const std::string& section, const std::vector<std::string>& allowed) const;
  bool wants(const std::string& figure) const;
  bool uses_classifier() const { return features == "classifier"; }
};

}  // namespace stylescope
