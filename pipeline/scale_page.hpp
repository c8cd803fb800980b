#pragma once

#include "pipeline/scale_measure.hpp"

#include <optional>
#include <string>
#include <vector>

namespace stylescope {

// All that `bench scale` found, on the root.
struct ScaleFindings {
  std::string subtitle;  // machine, ranks, threads
  struct Training {
    std::string name;
    int64_t batch = 0;
    std::vector<ScalePoint> points;  // by ranks
    std::vector<ScalePrediction> predictions;
  };
  std::vector<Training> trainings;
  std::vector<CommPoint> all_reduces;
  std::optional<NetworkFit> fit;         // of the points above
  std::optional<NetworkModel> network;   // what is predicted with
  std::vector<std::string> assumptions;  // of the predictions
};

// One HTML page that works offline: efficiency, break-down of the step, all_reduce and model,
// prediction.
std::string scale_page(const ScaleFindings& findings);

}  // namespace stylescope
