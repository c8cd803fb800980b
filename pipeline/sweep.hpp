#pragma once

#include "pipeline/config.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

// A configuration tried with several values: a run for each combination of them, below
// <run_dir>/sweep of the base run. Stages that do not depend on what is swept are made once, by the
// base run; the others have links to them.
namespace stylescope {

// The entry of the base run's job book for the job that tells what the sweep came to.
inline constexpr const char* kSweepJob = "sweep";

// One --sweep: a key and the values that it is to take, as text.
struct SweepAxis {
  std::string key;
  std::vector<std::string> values;
};

// One combination.
struct SweepPoint {
  std::string slug;                                         // "gan.r1_gamma=10+seed=2": its folder
  std::vector<std::pair<std::string, std::string>> values;  // key, value; in the order of the axes
};

// "gan.r1_gamma=1,10,100". Commas within brackets, braces and quotation marks part no values.
// Throws UsageError for what is none, and for a value given twice.
SweepAxis parse_sweep(const std::string& text);

// All combinations; the last axis changes fastest. Throws UsageError for a key given twice, for two
// combinations whose folders would have the same name, and for a name that is too long for one.
std::vector<SweepPoint> sweep_points(const std::vector<SweepAxis>& axes);

// The configuration of one point: the file with `overrides` and then the point's values, its name
// and its run directory below the base's. Throws UsageError where the file with these values is no
// configuration, and for keys that no result depends on or that say where results go.
Config point_config(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                    const Config& base, const SweepPoint& point);

// Throws UsageError where two of the points would come out the same: "1" and "1.0", or a key that
// no result depends on.
void check_distinct(const std::vector<SweepPoint>& points, std::vector<Config>& configs);

// The stages that are the same in the base and in every point: the same section (section_for_key),
// seed and precision, and all inputs shared.
std::set<std::string> shared_stages(Config& base, std::vector<Config>& points);

// A run of a sweep as <run_dir>/sweep/sweep.json keeps it.
struct SweepRun {
  SweepPoint point;
  std::set<std::string> shared;
};

std::filesystem::path sweep_folder(const std::filesystem::path& run_dir);
// All runs that were ever submitted, in the order of submission. Empty where there were none;
// throws Error for a damaged file.
std::vector<SweepRun> read_sweep(const std::filesystem::path& run_dir);
// Adds these runs, or puts them in the place of those with the same slug.
void record_sweep(const std::filesystem::path& run_dir, const std::vector<SweepRun>& runs);

// In the run directory of a point: a link <stage> -> ../../<stage> for each shared stage (it
// dangles until the base run publishes the stage), and none for the others. Throws Error where a
// folder is in the way.
void link_shared(const std::filesystem::path& point_dir, const std::set<std::string>& shared,
                 const std::vector<std::string>& all);
// Is this place of a stage such a link?
bool is_shared(const std::filesystem::path& stage_folder);
// The base run of a point's run directory, absolute; "" where it is no point's.
std::filesystem::path base_of(const std::filesystem::path& run_dir);

}  // namespace stylescope
