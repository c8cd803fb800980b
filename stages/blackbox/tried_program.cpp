#include "stages/blackbox/tried_program.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/sha256.hpp"

#include <algorithm>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

fs::path patience_file(const fs::path& run_dir) { return run_dir / "patience.json"; }

}  // namespace

bool decides_what_f_is(const std::string& key) {
  if (key == "positive") return true;
  const auto& keys = BlackBoxConfig::keys();
  return std::ranges::find(keys, key) != keys.end() && key != "timeout" && key != "restarts";
}

std::string fingerprint_of(const std::vector<std::string>& files) {
  std::string all;
  for (const auto& name : files) all += sha256_of_file(name);
  return all.empty() ? "" : sha256_of(all);
}

std::string fingerprint_since(const BlackBoxConfig& config, const fs::path& file) {
  if (config.kind != "command" || !fs::exists(file)) return config.fingerprint();
  const auto made = read_black_box(file);
  if (made.command != config.command) return config.fingerprint();
  const auto there = [&made](const std::string& name) {
    return (fs::path(made.folder) / name).lexically_normal().string();
  };
  std::vector<std::string> files;
  const auto add = [&files](const std::string& name, const char* key) {
    validate(fs::is_regular_file(name), name, ": is not there any more (", key, "); put it back");
    if (std::ranges::find(files, name) == files.end()) files.push_back(name);
  };
  for (const auto& word : config.command) {
    const auto name = there(word);
    if (std::ranges::any_of(made.files, [&](const auto& one) { return one.first == name; }))
      add(name, "classifier.command");
  }
  for (const auto& name : config.program_files) add(there(name), "classifier.program_files");
  return fingerprint_of(files);
}

void save_patience(const BlackBoxConfig& config, const fs::path& run_dir) {
  const nlohmann::json patience{{"timeout", config.timeout}, {"restarts", config.restarts}};
  publish_text(patience_file(run_dir), patience.dump() + "\n");
}

void take_patience(BlackBoxDescription& description, const fs::path& run_dir) {
  const auto file = patience_file(run_dir);
  if (description.kind != "command" || !fs::exists(file)) return;
  try {
    const auto patience = nlohmann::json::parse(read_text(file));
    patience.at("timeout").get_to(description.timeout);
    patience.at("restarts").get_to(description.restarts);
  } catch (const nlohmann::json::exception& error) {
    throw Error(file.string() + ": is damaged (" + error.what() +
                "); remove it, or call stylescope run again");
  }
}

}  // namespace stylescope
