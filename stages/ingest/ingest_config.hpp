#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

struct PhantomConfig {
  int64_t subjects = 600;
  int64_t images_per_subject = 3;
  double nuisance_correlation = 0;  // training split only
  void describe(Fields& f);
};

struct SplitConfig {
  std::string mode = "random";  // random | folders
  double train = 0.7, val = 0.15, test = 0.15;
  bool halve_val = false;
  void describe(Fields& f);
};

struct IngestConfig {
  std::string source = "phantom";  // phantom | folder | pcam
  std::string path;
  int64_t resolution = 32;
  int64_t channels = 1;
  PhantomConfig phantom;
  std::vector<std::string> class_names;
  std::string subject_regex;
  SplitConfig split;
  double max_bad_fraction = 0.01;
  int64_t threads = 0;

  void describe(Fields& f);
  // What ranges alone cannot say. Throws UsageError naming the key.
  void check() const;
};

}  // namespace stylescope
