#pragma once

#include "stages/metrics/ranking.hpp"

#include <nlohmann/json.hpp>

namespace stylescope {

inline nlohmann::json to_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

}  // namespace stylescope
