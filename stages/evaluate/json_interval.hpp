#pragma once

#include <nlohmann/json.hpp>

#include "stages/metrics/ranking.hpp"

namespace stylescope {

inline nlohmann::json to_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

}  // namespace stylescope
