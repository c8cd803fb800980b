#include "slurm/slurm_config.hpp"

namespace stylescope {

void SlurmConfig::describe(Fields& f) {
  f.field("site", site, "the cluster: a name in slurm/sites, or a file");
  f.section("defaults", defaults, "what every stage's job asks for; 0 and '': the site's own");
  f.sections("stages", stages, stage_names,
             "the same keys for one stage, over the defaults: stages: {gan: {nodes: 4}}");
  f.field("restarts_without_progress", restarts_without_progress, {0, 1000},
          "sessions in a row that leave the work as it was, before the stage is given up");
  f.field("restarts", restarts, {0, 1000000}, "sessions after the first, in all");
  f.field("signal_seconds", signal_seconds, {0, 86400},
          "how long before its time limit a job is asked to write a checkpoint; 0: from what "
          "checkpoints and steps took so far, 120 where that is not known");
}

void SlurmConfig::check() const {
  defaults.check("slurm.defaults");
  for (const auto& [stage, resources] : stages) resources.check("slurm.stages." + stage);
}

Resources SlurmConfig::of(const std::string& stage, const Resources& site) const {
  const auto behind = over(defaults, site);
  const auto own = stages.find(stage);
  return own == stages.end() ? behind : over(own->second, behind);
}

}  // namespace stylescope
