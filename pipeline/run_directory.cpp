#include "pipeline/run_directory.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/sha256.hpp"
#include "io/stage_state.hpp"

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kStageFile = "stage.json";
constexpr const char* kResumeFile = "resume.json";
// Of a stage under way (stages/training/training_loop.cpp); not part of what it publishes.
constexpr const char* kCheckpoints = "checkpoints";

std::optional<nlohmann::json> read_json(const fs::path& file, const std::string& advice) {
  if (!fs::exists(file)) return std::nullopt;
  try {
    return nlohmann::json::parse(read_text(file));
  } catch (const nlohmann::json::exception& error) {
    throw Error(file.string() + ": is damaged (" + error.what() + "); " + advice);
  }
}

void write_json(const fs::path& file, const nlohmann::json& content) {
  publish_text(file, content.dump(2) + "\n");
}

}  // namespace

std::optional<nlohmann::json> RunDirectory::record(const std::string& name) const {
  const fs::path folder = stage(name);
  auto found = read_json(folder / kStageFile, "move the folder away to make the stage again");
  validate(found || !fs::exists(folder), folder.string(),
           ": holds no stage.json, so it was not made by stylescope; move it away");
  return found;
}

std::optional<nlohmann::json> RunDirectory::resume_record(const std::string& name) const {
  return read_json(partial(name) / kResumeFile, "move the folder away to start the stage afresh");
}

bool RunDirectory::has_partial(const std::string& name) const {
  // Another process may be publishing it, or moving it aside.
  std::error_code gone;
  return fs::is_directory(partial(name), gone) && !fs::is_empty(partial(name), gone) && !gone;
}

bool RunDirectory::is_complete(const std::string& name) const {
  return fs::exists(partial(name) / kStageFile);
}

void RunDirectory::move_aside(const fs::path& folder) const {
  for (int n = 1;; ++n) {
    const fs::path aside = folder.string() + ".old-" + std::to_string(n);
    if (fs::exists(aside)) continue;
    std::error_code failure;
    fs::rename(folder, aside, failure);
    validate(!failure, folder.string(), ": cannot be moved aside (", failure.message(), ")");
    log::warn("{}: kept as {}; remove it when you do not need it", folder.string(),
              aside.filename().string());
    return;
  }
}

void RunDirectory::begin(const std::string& name, const nlohmann::json& resume) {
  const fs::path folder = partial(name);
  if (has_partial(name)) move_aside(folder);
  std::error_code failure;
  fs::create_directories(folder, failure);
  validate(!failure, folder.string(), ": cannot be made (", failure.message(),
           "); choose a run_dir that you may write to");
  update_resume(name, resume);
}

void RunDirectory::update_resume(const std::string& name, const nlohmann::json& resume) {
  write_json(partial(name) / kResumeFile, resume);
}

void RunDirectory::publish(const std::string& name, nlohmann::json record) {
  const fs::path folder = partial(name);
  record["outputs"] = outputs_of(folder);
  record["output_hash"] = output_hash(record["outputs"]);
  // From here on the folder can be published without the stage (publish_left_over), so a kill in
  // between costs nothing. That takes resume.json, so it goes last.
  write_json(folder / kStageFile, record);
  std::error_code ignored;
  // A run of a sweep may have a link here, to a stage of its base run: nothing of its own.
  if (fs::is_symlink(stage(name), ignored)) fs::remove(stage(name), ignored);
  if (fs::exists(stage(name))) move_aside(stage(name));
  publish_directory(folder, stage(name));
  fs::remove(stage(name) / kResumeFile, ignored);
  fs::remove_all(stage(name) / kCheckpoints, ignored);
  for (const auto& entry : fs::directory_iterator(stage(name)))
    if (is_stage_news(entry.path().filename().string())) fs::remove(entry.path(), ignored);
}

bool RunDirectory::publish_left_over(const std::string& name, const nlohmann::json& key) {
  const fs::path folder = partial(name);
  const auto record =
      read_json(folder / kStageFile, "move the folder away to start the stage afresh");
  if (!record || record->at("key") != key || outputs_of(folder) != record->at("outputs"))
    return false;
  publish(name, *record);
  return true;
}

void RunDirectory::write_manifest(const std::string& run_name,
                                  const std::vector<std::string>& stages) const {
  nlohmann::ordered_json manifest = {{"name", run_name},
                                     {"stages", nlohmann::ordered_json::object()}};
  for (const auto& name : stages)
    if (const auto found = record(name)) manifest["stages"][name] = *found;
  publish_text(root_ / "manifest.json", manifest.dump(2) + "\n");
}

nlohmann::json outputs_of(const fs::path& folder) {
  auto outputs = nlohmann::json::object();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (!entry.is_regular_file() || name == kStageFile || name == kResumeFile) continue;
    if (is_stage_news(name)) continue;
    if (name.starts_with(kCheckpoints)) continue;  // needed until the stage is published, no longer
    outputs[name] = {{"size", entry.file_size()}, {"sha256", sha256_of_file(entry.path())}};
  }
  return outputs;
}

std::string output_hash(const nlohmann::json& outputs) {
  std::string text;
  for (const auto& [name, file] : outputs.items()) {
    if (name.ends_with(".jsonl") || name.ends_with(".log") ||
        name.find("events.out.tfevents.") != std::string::npos)
      continue;
    text += file.at("sha256").get<std::string>() + " " + name + "\n";
  }
  return sha256_of(text);
}

std::string first_damaged(const fs::path& folder, const nlohmann::json& outputs) {
  for (const auto& [name, file] : outputs.items()) {
    std::error_code failure;
    const auto size = fs::file_size(folder / name, failure);
    if (failure || size != file.at("size").get<uintmax_t>()) return name;
  }
  return "";
}

}  // namespace stylescope
