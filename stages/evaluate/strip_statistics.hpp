#pragma once

#include "io/explanation_set.hpp"

#include <nlohmann/json.hpp>

namespace stylescope {

// Does f follow lambda? Figures as in evaluate_stage.hpp ("strips"); a crossing's share is of the
// images that start on the other side, null when there is none.
nlohmann::json strip_statistics(const ExplanationSet& set);

}  // namespace stylescope
