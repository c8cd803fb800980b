#pragma once

#include "io/explanation_set.hpp"

#include <string>
#include <vector>

namespace stylescope::html {

struct CardLegend {
  std::vector<std::string> label_names;  // of ExplanationSet::label
  std::vector<std::string> positive;     // the classes whose probabilities add up to f
  double lambda_of_one_sd = 1;           // one standard deviation along alpha, in lambda
};

// The positive classes' names, "2 or 3 or 4".
std::string positive_name(const CardLegend& legend);

// One card an image: the original with its heat map (GradCAM, or occlusion) to lay over it, the
// image that a slider moves along lambda, f's curve with a marker, the filmstrip of all steps,
// reconstruction, difference map and the images of the target probabilities. Works without script
// as far as pictures go: the filmstrip shows every step.
std::string explanation_cards(const ExplanationSet& set, const CardLegend& legend);

}  // namespace stylescope::html
