#pragma once

#include "io/base/fields.hpp"
#include "stages/run_context.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// One stage as the runner sees it, bound to its section of a configuration.
struct Stage {
  std::string name;  // its folder in the run directory and its section in the configuration
  std::string help;
  int64_t format = 1;               // raised by hand when the stage's results change
  std::vector<std::string> inputs;  // the stages whose published files it reads
  std::function<void(Fields&)> section;
  // Throws UsageError for what no single field can say. May be empty.
  std::function<void()> check;
  std::function<nlohmann::json(RunContext&)> run;
  // A fingerprint of what it reads from outside the run directory; throws Error where that is not
  // there. May be empty.
  std::function<std::string()> outside;
  // Into how many shares it can be cut (RunContext::task) at most; empty: it cannot be. Throws as
  // `outside` does.
  std::function<int64_t()> pieces;

  void describe(Fields& f) const { section(f); }
};

// `config` must outlive the stage. A section may have `void check() const`, which throws
// UsageError.
template <class Section>
Stage make_stage(std::string name, std::string help, int64_t format,
                 std::vector<std::string> inputs, Section& config,
                 nlohmann::json (*run)(const Section&, RunContext&),
                 std::function<std::string()> outside = {}) {
  Stage stage;
  stage.name = std::move(name);
  stage.help = std::move(help);
  stage.format = format;
  stage.inputs = std::move(inputs);
  stage.section = [&config](Fields& f) { config.describe(f); };
  if constexpr (requires { config.check(); }) stage.check = [&config] { config.check(); };
  stage.run = [&config, run](RunContext& context) { return run(config, context); };
  stage.outside = std::move(outside);
  return stage;
}

}  // namespace stylescope
