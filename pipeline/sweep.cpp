#include "pipeline/sweep.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/plan.hpp"

#include <algorithm>
#include <cctype>
#include <map>

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

// At commas outside of brackets, braces and quotation marks.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
  }
  return values;
}

// Good as the name of a folder and of a job.
std::string slug_word(const std::string& text) {
  std::string word;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string("._=-").find(c) != std::string::npos;
    word += plain ? c : '_';
  }
  return word;
}

// More does not fit into a file name with what comes around it.
constexpr size_t kLongestSlug = 200;

// All that the results of a run depend on.
std::string fingerprint(Config& config) {
  json all = {{"seed", config.seed}, {"precision", config.precision}};
  for (const auto& stage : stages_of(config)) all[stage.name] = section_for_key(stage);
  return all.dump();
}

fs::path sweep_file(const fs::path& run_dir) { return sweep_folder(run_dir) / "sweep.json"; }

void check_key(Config& config, const std::string& key) {
  const std::string section = key.substr(0, key.find('.'));
  if (key == "seed" || key == "precision") return;
  for (const auto& stage : stages_of(config))
    if (stage.name == section && section != key) return;
  throw UsageError("--sweep " + key +
                   ": is neither seed, nor precision, nor a key of a stage's section, so no result "
                   "depends on it; give it with --set, for all runs alike");
}

// What is wrong with a swept value is said of --sweep: nobody gave it to --set.
Config load_point(const fs::path& file, const std::vector<std::string>& overrides,
                  const SweepPoint& point) {
  try {
    return load_config(file, overrides);
  } catch (const UsageError& error) {
    const std::string what = error.what();
    for (const auto& [key, value] : point.values)
      if (const std::string set = "--set " + key + "=" + value + ":"; what.starts_with(set))
        throw UsageError("--sweep" + what.substr(std::string("--set").size()));
    throw;
  }
}

json to_json(const SweepRun& run) {
  json values = json::array();
  for (const auto& [key, value] : run.point.values) values.push_back(json::array({key, value}));
  return {{"slug", run.point.slug}, {"values", values}, {"shared", run.shared}};
}

SweepRun from_json(const json& entry) {
  SweepRun run;
  entry.at("slug").get_to(run.point.slug);
  entry.at("shared").get_to(run.shared);
  for (const auto& pair : entry.at("values"))
    run.point.values.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  return run;
}

bool same_stage(const Stage& a, const Config& of_a, const Stage& b, const Config& of_b) {
  return of_a.seed == of_b.seed && of_a.precision == of_b.precision && a.format == b.format &&
         section_for_key(a) == section_for_key(b);
}

}  // namespace

SweepAxis parse_sweep(const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    throw UsageError("--sweep " + text + ": " + why +
                     "; write a key and its values, such as gan.r1_gamma=1,10,100");
  };
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) refuse("is no key with values");
  SweepAxis axis{text.substr(0, equals), split_values(text.substr(equals + 1))};
  for (size_t i = 0; i < axis.values.size(); ++i) {
    if (axis.values[i].empty()) refuse("a value is missing");
    if (std::find(axis.values.begin(), axis.values.begin() + static_cast<std::ptrdiff_t>(i),
                  axis.values[i]) != axis.values.begin() + static_cast<std::ptrdiff_t>(i))
      refuse("the value " + axis.values[i] + " is given twice");
  }
  return axis;
}

std::vector<SweepPoint> sweep_points(const std::vector<SweepAxis>& axes) {
  std::set<std::string> keys;
  std::vector<SweepPoint> points(1);
  for (const auto& axis : axes) {
    if (!keys.insert(axis.key).second)
      throw UsageError("--sweep " + axis.key +
                       ": is given twice; write all values behind one --sweep");
    std::vector<SweepPoint> more;
    for (const auto& point : points) {
      for (const auto& value : axis.values) {
        SweepPoint next = point;
        next.slug += (next.slug.empty() ? "" : "+") + slug_word(axis.key + "=" + value);
        next.values.emplace_back(axis.key, value);
        more.push_back(std::move(next));
      }
    }
    points = std::move(more);
  }
  std::set<std::string> slugs;
  for (const auto& point : points) {
    if (point.slug.size() > kLongestSlug)
      throw UsageError(detail::concatenate(
          "--sweep: the run ", point.slug.substr(0, 60), "... would be called by ",
          point.slug.size(), " letters, and ", kLongestSlug,
          " fit into the name of a folder; sweep fewer keys, or shorter values"));
    if (!slugs.insert(point.slug).second)
      throw UsageError("--sweep: two of the runs would both be called " + point.slug +
                       " (only letters, digits and . _ - stay as they are); submit them as "
                       "two sweeps with different run_dir");
  }
  return points;
}

Config point_config(const fs::path& file, const std::vector<std::string>& overrides,
                    const Config& base, const SweepPoint& point) {
  std::vector<std::string> all = overrides;
  for (const auto& [key, value] : point.values) all.push_back(key + "=" + value);
  Config config = load_point(file, all, point);
  for (const auto& [key, value] : point.values) check_key(config, key);
  config.name = base.name + "." + point.slug;
  config.run_dir = (sweep_folder(base.run_dir) / point.slug).string();
  config.slurm.site = base.slurm.site;
  return config;
}

void check_distinct(const std::vector<SweepPoint>& points, std::vector<Config>& configs) {
  std::map<std::string, std::string> known;
  for (size_t i = 0; i < points.size(); ++i) {
    const auto [found, is_new] = known.emplace(fingerprint(configs.at(i)), points[i].slug);
    if (!is_new)
      throw UsageError("--sweep: the runs " + found->second + " and " + points[i].slug +
                       " would come out the same (their values mean the same, or no result "
                       "depends on them); leave one of them out");
  }
}

std::set<std::string> shared_stages(Config& base, std::vector<Config>& points) {
  std::set<std::string> shared;
  const auto own = stages_of(base);
  for (size_t i = 0; i < own.size(); ++i) {
    const Stage& stage = own[i];
    bool same = std::ranges::all_of(
        stage.inputs, [&](const std::string& input) { return shared.contains(input); });
    for (auto& point : points) {
      const auto others = stages_of(point);
      SS_CHECK(others.size() == own.size() && others[i].name == stage.name);
      same = same && same_stage(stage, base, others[i], point);
    }
    if (same) shared.insert(stage.name);
  }
  return shared;
}

fs::path sweep_folder(const fs::path& run_dir) { return run_dir / "sweep"; }

std::vector<SweepRun> read_sweep(const fs::path& run_dir) {
  std::vector<SweepRun> runs;
  const fs::path file = sweep_file(run_dir);
  if (!fs::exists(file)) return runs;
  try {
    const json content = json::parse(read_text(file));
    for (const auto& entry : content.at("runs")) runs.push_back(from_json(entry));
  } catch (const json::exception& error) {
    throw Error(file.string() + ": is damaged (" + error.what() +
                "); move it away and submit the sweep again, which changes no run");
  }
  return runs;
}

void record_sweep(const fs::path& run_dir, const std::vector<SweepRun>& runs) {
  auto all = read_sweep(run_dir);
  for (const auto& run : runs) {
    const auto found = std::ranges::find_if(
        all, [&](const SweepRun& known) { return known.point.slug == run.point.slug; });
    if (found == all.end())
      all.push_back(run);
    else
      *found = run;
  }
  std::error_code failure;
  fs::create_directories(sweep_folder(run_dir), failure);
  validate(!failure, sweep_folder(run_dir).string(), ": cannot be made (", failure.message(),
           "); choose a run_dir that you may write to");
  json content = {{"runs", json::array()}};
  for (const auto& run : all) content["runs"].push_back(to_json(run));
  publish_text(sweep_file(run_dir), content.dump(2) + "\n");
}

void link_shared(const fs::path& point_dir, const std::set<std::string>& shared,
                 const std::vector<std::string>& all) {
  for (const auto& stage : all) {
    const fs::path place = point_dir / stage, target = fs::path("../..") / stage;
    std::error_code failure;
    const bool link = is_shared(place);
    if (!shared.contains(stage)) {
      // From an earlier sweep; a stage could not be published over it.
      if (link) fs::remove(place, failure);
      continue;
    }
    if (link && fs::read_symlink(place, failure) == target) continue;
    validate(link || !fs::exists(place), place.string(),
             ": is a folder, but this stage is made once for all runs of the sweep, in the base "
             "run; move it away");
    if (link) fs::remove(place, failure);
    failure.clear();
    fs::create_directory_symlink(target, place, failure);
    validate(!failure, place.string(), ": the link cannot be made (", failure.message(),
             "); choose a run_dir on a file system that has symbolic links");
  }
}

bool is_shared(const fs::path& stage_folder) {
  std::error_code ignored;
  return fs::is_symlink(fs::symlink_status(stage_folder, ignored));
}

fs::path base_of(const fs::path& run_dir) {
  const fs::path folder = fs::absolute(run_dir).lexically_normal().parent_path();
  const fs::path base = folder.parent_path();
  std::error_code ignored;
  return fs::exists(sweep_file(base), ignored) && folder == sweep_folder(base) ? base : fs::path();
}

}  // namespace stylescope
