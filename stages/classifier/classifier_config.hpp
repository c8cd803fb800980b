#pragma once

#include "stages/blackbox/black_box_config.hpp"
#include "stages/supervised/supervised_config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// The classifier stage's section.
struct ClassifierConfig : SupervisedConfig {
  BlackBoxConfig black_box;  // its keys stand beside the others
  std::string class_weights = "none";
  std::vector<double> class_weight_list;
  std::vector<int64_t> positive;  // empty: all but class 0
  int64_t patience = 10;

  void describe(Fields& f);
  void check() const;
};

}  // namespace stylescope
