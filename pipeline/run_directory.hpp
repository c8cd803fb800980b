#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The files of a run directory that are not a stage's own. A folder <stage>/ that exists is whole
// and carries stage.json; <stage>.partial/ is at work or was left over, and its resume.json says
// for which configuration and inputs. Nothing that was finished is ever removed: what is in the way
// is renamed to <stage>.old-<n>. Only the root rank uses this.
namespace stylescope {

class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path stage(const std::string& name) const { return root_ / name; }
  std::filesystem::path partial(const std::string& name) const {
    return root_ / (name + ".partial");
  }

  // stage.json of a finished stage, nothing where there is none. Throws Error when it cannot be
  // read.
  std::optional<nlohmann::json> record(const std::string& name) const;
  // resume.json of an unfinished one.
  std::optional<nlohmann::json> resume_record(const std::string& name) const;
  bool has_partial(const std::string& name) const;
  // Does the partial folder lack but the rename? (publish_left_over makes sure.)
  bool is_complete(const std::string& name) const;

  // Makes an empty <stage>.partial with this resume.json; one that is there is moved aside.
  void begin(const std::string& name, const nlohmann::json& resume);
  void update_resume(const std::string& name, const nlohmann::json& resume);
  // Writes stage.json, moves an earlier <stage>/ aside, publishes. `record` gets "outputs" and
  // "output_hash" added.
  void publish(const std::string& name, nlohmann::json record);
  // The same for a partial folder that was left between its stage.json and the rename; false when
  // it is no such folder.
  bool publish_left_over(const std::string& name, const nlohmann::json& key);
  // manifest.json, made from the stage.json files that are there.
  void write_manifest(const std::string& run_name, const std::vector<std::string>& stages) const;

 private:
  void move_aside(const std::filesystem::path& folder) const;

  std::filesystem::path root_;
};

// {"file": {"size": n, "sha256": "..."}} of every file below the folder, stage.json and resume.json
// left out.
nlohmann::json outputs_of(const std::filesystem::path& folder);
// One hash of what a later stage can read: logs (*.jsonl, *.log) hold times and do not count.
std::string output_hash(const nlohmann::json& outputs);
// The first recorded output that is missing or has another size; "" when all are there.
std::string first_damaged(const std::filesystem::path& folder, const nlohmann::json& outputs);

}  // namespace stylescope
