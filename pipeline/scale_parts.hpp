#pragma once

#include "pipeline/bench_report.hpp"
#include "pipeline/scale_page.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

// What the pages and tables about scaling have in common.
namespace stylescope {

// By training step.
using NamedPredictions = std::vector<std::pair<std::string, std::vector<ScalePrediction>>>;
template <class Training>
NamedPredictions predictions_of(const std::vector<Training>& trainings) {
  NamedPredictions all;
  for (const auto& training : trainings) all.emplace_back(training.name, training.predictions);
  return all;
}

BenchTable model_table(const NetworkFit& fit);
BenchTable prediction_table(const NamedPredictions& all);
// Where nothing is predicted, one rank exchanges nothing: `advice` says how to get more.
std::string prediction_section(const NamedPredictions& all, const std::vector<std::string>& assumed,
                               const std::string& advice);

// Bars of what the steps' time goes into, below a title.
std::string step_bars(const std::string& title,
                      const std::vector<std::pair<std::string, StepTimes>>& steps);
// Time by size, with the model's line where there is one. All points are of as many ranks.
std::string all_reduce_chart(const std::string& title, const std::vector<CommPoint>& points,
                             const std::optional<NetworkFit>& fit);
// A paragraph: the two numbers, and how far the model is off. `source`: "of this run".
std::string fit_sentence(const NetworkFit& fit, const std::string& source);

}  // namespace stylescope
