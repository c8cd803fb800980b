#include "pipeline/plan.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/config_json.hpp"
#include "pipeline/provenance.hpp"
#include "stages/audit/audit_config.hpp"
#include "stages/blackbox/tried_program.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <algorithm>

namespace stylescope {
namespace {

using nlohmann::json;

// What the user sees of a value in "was ..., is ...".
std::string brief(const json& value) {
  const std::string text = value.dump();
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

std::string section_difference(const std::string& path, const json& before, const json& now) {
  if (!before.is_object() || !now.is_object())
    return before == now ? "" : "'" + path + "' was " + brief(before) + ", is " + brief(now);
  for (const auto& [key, value] : now.items()) {
    const std::string full = path + "." + key;
    if (!before.contains(key)) return "'" + full + "' is new (" + brief(value) + ")";
    if (auto found = section_difference(full, before.at(key), value); !found.empty()) return found;
  }
  for (const auto& [key, value] : before.items())
    if (!now.contains(key)) return "'" + path + "." + key + "' is gone";
  return "";
}

// Where f is a program of the user's, what the classifier's section says of it.
std::optional<BlackBoxConfig> program_of(const Stage& stage) {
  const auto section = section_of(stage);
  if (section.value("kind", json()) != "command") return std::nullopt;
  BlackBoxConfig config;
  config.kind = "command";
  section.at("command").get_to(config.command);
  section.at("program_files").get_to(config.program_files);
  return config;
}

// What the stage reads outside may be gone by now: a finished stage is not made again for that.
json outside_fingerprint(const Stage& stage, const std::optional<json>& record,
                         const RunDirectory& directory, std::vector<std::string>& notes) {
  if (!stage.outside) return nullptr;
  try {
    if (const auto program = program_of(stage); record && program)
      return fingerprint_since(*program, directory.root() / artifacts::black_box);
    return stage.outside();
  } catch (const Error& error) {
    if (!record) throw UsageError("stage '" + stage.name + "': " + error.what());
    notes.push_back(detail::concatenate(error.what(), " (taken as unchanged since '", stage.name,
                                        "' was made)"));
    return record->at("key").value("outside", json());
  }
}

std::string version_of(const json& record) {
  return record.at("program").at("version").get<std::string>();
}

// Where a stage has to run: from the beginning, or on from what an earlier attempt left.
void choose_start(Decision& decision, const RunDirectory& directory, std::string reason) {
  decision.action = Action::start;
  decision.reason = std::move(reason);
  if (!directory.has_partial(decision.stage)) return;
  const std::string partial = directory.partial(decision.stage).filename().string();
  const auto resume = directory.resume_record(decision.stage);
  const std::string difference =
      resume ? first_difference(decision.stage, resume->at("key"), decision.key)
             : "it has no resume.json";
  if (difference.empty()) {
    decision.action = Action::resume;
    decision.reason += "; goes on from " + partial;
  } else {
    decision.notes.push_back(partial + " does not fit (" + difference + "): moved aside");
  }
}

template <class Section>
json defaults_of() {
  Section section;
  JsonDumper dumper;
  section.describe(dumper);
  return dumper.result();
}

}  // namespace

json section_of(const Stage& stage) {
  JsonDumper dumper;
  stage.section(dumper);
  return dumper.result();
}

json section_for_key(const Stage& stage) {
  json section = section_of(stage);
  for (const char* key : {"checkpoint", "log_every", "threads"}) section.erase(key);
  // Younger than runs that were made without them: an upgrade must not make those again.
  static const json kYounger = {{"half_precision", "off"},
                                {"audit", defaults_of<AuditConfig>()},
                                {"table", defaults_of<TableConfig>()},
                                {"knees", defaults_of<KneesConfig>()},
                                {"keep_ids", false},
                                {"id_key_file", ""},
                                {"bit_depth", "auto"},
                                {"occlusion", ExplainConfig().occlusion},
                                {"dicom", defaults_of<DicomConfig>()}};
  for (const auto& [key, value] : kYounger.items())
    if (section.contains(key) && section[key] == value) section.erase(key);
  if (section.contains("kind") && section["kind"] == BlackBoxConfig().kind)
    for (const auto& key : BlackBoxConfig::keys()) section.erase(key);
  else if (section.contains("kind"))
    for (const json all = section; const auto& [key, value] : all.items())
      if (!decides_what_f_is(key)) section.erase(key);
  return section;
}

std::string first_difference(const std::string& stage, const json& before, const json& now) {
  if (before.at("format") != now.at("format"))
    return detail::concatenate("format version of the stage: was ", before.at("format"), ", is ",
                               now.at("format"));
  for (const char* key : {"seed", "precision"})
    if (before.at(key) != now.at(key))
      return detail::concatenate("configuration: '", key, "' was ", brief(before.at(key)), ", is ",
                                 brief(now.at(key)));
  if (auto found = section_difference(stage, before.at("config"), now.at("config")); !found.empty())
    return "configuration: " + found;
  for (const auto& [input, hash] : now.at("inputs").items())
    if (before.at("inputs").value(input, "") != hash) return "input '" + input + "' changed";
  if (before.value("outside", json()) != now.value("outside", json()))
    return "the files that it reads from outside changed";
  return before == now ? "" : "its inputs are others";
}

Decision decide(const Stage& stage, const RunKey& run, const RunDirectory& directory,
                const std::set<std::string>& pending) {
  Decision decision;
  decision.stage = stage.name;
  const auto record = directory.record(stage.name);
  json key = {{"format", stage.format},
              {"seed", run.seed},
              {"precision", run.precision},
              {"config", section_for_key(stage)},
              {"inputs", json::object()}};
  if (auto outside = outside_fingerprint(stage, record, directory, decision.notes);
      !outside.is_null())
    key["outside"] = outside;

  std::string first_pending;
  for (const auto& input : stage.inputs) {
    if (pending.contains(input)) {
      if (first_pending.empty()) first_pending = input;
      // As it was made with, so that only the other differences count.
      if (record) key["inputs"][input] = record->at("key").at("inputs").value(input, "");
      continue;
    }
    const auto made = directory.record(input);
    if (!made)
      throw UsageError(directory.stage(input).string() + ": is not there, but stage '" +
                       stage.name + "' reads it; run stage '" + input + "' first");
    key["inputs"][input] = made->at("output_hash");
  }

  if (first_pending.empty()) decision.key = key;
  const auto must_run = [&](std::string reason) {
    decision.action = Action::start;
    decision.reason = std::move(reason);
    if (first_pending.empty()) {
      // What it will read is what is there now, not what it was made of before.
      if (record && program_of(stage)) decision.key["outside"] = stage.outside();
      choose_start(decision, directory, decision.reason);
    }
    return decision;
  };
  if (!record) return must_run("not there yet");
  if (auto difference = first_difference(stage.name, record->at("key"), key); !difference.empty())
    return must_run(difference);
  if (const auto damaged = first_damaged(directory.stage(stage.name), record->at("outputs"));
      !damaged.empty())
    return must_run("its file " + damaged + " is missing or changed");
  if (version_of(*record) != program_version()) {
    const std::string versions =
        "made by version " + version_of(*record) + ", this is " + program_version();
    if (run.strict) return must_run(versions + " (--strict)");
    decision.notes.push_back("'" + stage.name + "' was " + versions + " (--strict makes it again)");
  }
  if (!first_pending.empty()) {
    decision.action = Action::depends;
    decision.reason = "runs if '" + first_pending + "' comes out otherwise";
  }
  return decision;
}

std::vector<Stage> select(const std::vector<Stage>& stages, const std::string& from,
                          const std::vector<std::string>& only) {
  std::vector<std::string> names;
  for (const auto& stage : stages) names.push_back(stage.name);
  const auto check = [&](const std::string& option, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    std::string all;
    for (const auto& known : names) all += (all.empty() ? "" : ", ") + known;
    throw UsageError(option + " " + name + ": is no stage" + suggestion(name, names) +
                     " (stages: " + all + ")");
  };
  if (!from.empty()) check("--from", from);
  for (const auto& name : only) check("--only", name);

  std::vector<Stage> selected;
  bool reached = from.empty();
  for (const auto& stage : stages) {
    reached = reached || stage.name == from;
    const bool wanted =
        only.empty() || std::find(only.begin(), only.end(), stage.name) != only.end();
    if (reached && wanted) selected.push_back(stage);
  }
  if (selected.empty())
    throw UsageError("--from " + from + " and --only leave no stage to run; drop one of them");
  return selected;
}

std::vector<Decision> forecast(const std::vector<Stage>& selected, const RunKey& run,
                               const RunDirectory& directory) {
  std::vector<Decision> decisions;
  std::set<std::string> pending;
  for (const auto& stage : selected) {
    decisions.push_back(decide(stage, run, directory, pending));
    if (decisions.back().action != Action::up_to_date) pending.insert(stage.name);
  }
  return decisions;
}

}  // namespace stylescope
