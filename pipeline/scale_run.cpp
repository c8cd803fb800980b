#include "pipeline/scale_run.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

namespace stylescope {

using nlohmann::json;

namespace {

constexpr int kFormat = 1;

template <class Value>
json or_null(const std::optional<Value>& value) {
  return value ? json(*value) : json();
}

template <class Value>
void take(const json& from, std::optional<Value>& value) {
  value.reset();
  if (!from.is_null()) value = from.get<Value>();
}

}  // namespace

// NOLINTBEGIN(misc-use-internal-linkage): found by argument-dependent look-up
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StepProfile::Message, bytes, per_step)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StepTimes, step, compute, exposed, waiting, hidden, slowest, lag,
                                   steps, wrong, messages)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ScalePoint, ranks, weak, strong, independent, groups)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CommPoint, bytes, ranks, seconds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NetworkModel, latency, seconds_per_byte)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NetworkFit, model, typical_error, worst_factor, points)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ScalePrediction, nodes, ranks, transfer, weak_exposed, weak_step,
                                   weak_efficiency, strong_exposed, strong_step, strong_efficiency)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ScaleFindings::Training, name, batch, points, predictions)
// NOLINTEND(misc-use-internal-linkage)

namespace {

json to_json(const ScaleFindings& findings) {
  return {{"subtitle", findings.subtitle},        {"trainings", findings.trainings},
          {"all_reduces", findings.all_reduces},  {"fit", or_null(findings.fit)},
          {"network", or_null(findings.network)}, {"assumptions", findings.assumptions}};
}

ScaleFindings findings_from(const json& from) {
  ScaleFindings findings;
  from.at("subtitle").get_to(findings.subtitle);
  from.at("trainings").get_to(findings.trainings);
  from.at("all_reduces").get_to(findings.all_reduces);
  take(from.at("fit"), findings.fit);
  take(from.at("network"), findings.network);
  from.at("assumptions").get_to(findings.assumptions);
  return findings;
}

}  // namespace

void write_scale_run(const std::filesystem::path& file, const ScaleRun& run) {
  const json content{{"format", kFormat},
                     {"settings", run.settings},
                     {"time", run.time},
                     {"hosts", run.hosts},
                     {"ranks", run.ranks},
                     {"wrong", run.wrong},
                     {"findings", to_json(run.findings)}};
  publish_text(file, content.dump(1) + "\n");
}

ScaleRun read_scale_run(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  try {
    const json content = json::parse(text);
    const auto format = content.at("format").get<int>();
    validate(format == kFormat, file.string(), ": is of format ", format, ", not ", kFormat,
             " (another version of stylescope wrote it); measure again");
    ScaleRun run;
    run.settings = content.at("settings");
    content.at("time").get_to(run.time);
    content.at("hosts").get_to(run.hosts);
    content.at("ranks").get_to(run.ranks);
    content.at("wrong").get_to(run.wrong);
    run.findings = findings_from(content.at("findings"));
    for (const auto& training : run.findings.trainings)
      validate(!training.points.empty() && training.points.back().ranks == run.ranks, file.string(),
               ": has no step of all ranks (", training.name, "); measure again, with all of them");
    return run;
  } catch (const json::exception& error) {
    throw Error(file.string() + ": is damaged (" + error.what() + "); measure again");
  }
}

}  // namespace stylescope
