#pragma once

#include "slurm/resources.hpp"

#include <map>
#include <string>
#include <vector>

namespace stylescope {

// The configuration's section `slurm`: what `submit` asks for. No result depends on it.
struct SlurmConfig {
  std::string site = "generic";
  Resources defaults;
  std::map<std::string, Resources> stages;
  std::vector<std::string> stage_names;  // that `stages` may hold; whoever owns the section sets it
  int64_t restarts_without_progress = 3;
  int64_t restarts = 100;
  double signal_seconds = 0;

  void describe(Fields& f);
  void check() const;
  // A stage's own over the defaults over the site's.
  Resources of(const std::string& stage, const Resources& site) const;
};

}  // namespace stylescope
