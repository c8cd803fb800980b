#pragma once

#include "slurm/resources.hpp"
#include "slurm/site_profile.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace stylescope {

// One batch script of a run: of a stage, or of one call of the program. Paths are absolute.
struct JobScript {
  std::string run_name;
  std::string stage;
  std::filesystem::path run_dir;
  std::filesystem::path
      work_dir;  // where `submit` was called: the configuration's paths start there
  std::filesystem::path program;  // the executable that submits
  Resources resources;
  double signal_seconds = 120;  // before the time limit
  int64_t shares = 0;           // more than 0: a task of an array, which does one of so many shares
  // Not empty: no stage, but one call of the program with these words, under the name `stage`. Its
  // exit code is the job's; it is not restarted, and not told of its time limit.
  std::vector<std::string> words;
  bool by_all = true;  // the call: by all ranks; else by one process outside of the launcher
};

// "tile", or "tile-shares" for the array: the name of its files in <run_dir>/slurm.
std::string job_name(const JobScript& job);

// The whole script: readable, commented, and good for `sbatch FILE` by hand. What only exists at
// submission (dependencies, an array's range) is not in it. Pure.
std::string job_script(const JobScript& job, const SiteProfile& site);

// A word as bash takes it, quoted where it has to be.
std::string shell_word(const std::string& text);

}  // namespace stylescope
