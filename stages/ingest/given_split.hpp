#pragma once

#include "io/image_set.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Splits that the user gives, by folders or by a column, and those that are dealt.
namespace stylescope {

struct SplitWish {
  std::string subject;
  int64_t label = 0;
  std::optional<Split> given;
};

// One split an image: the given one; without one dealt by subject in the configured shares; with
// halve_val the subjects of val are dealt to val and test.
std::vector<Split> settle_splits(const SplitConfig& config, const std::vector<SplitWish>& images,
                                 uint64_t seed);

}  // namespace stylescope
