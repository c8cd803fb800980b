#pragma once

#include "io/base/fields.hpp"
#include "stages/run_context.hpp"

#include <string>

#include <nlohmann/json.hpp>

namespace stylescope {

struct ReportConfig {
  std::string title;

  void describe(Fields& f);
};

// One self-contained report/index.html for people who decide by it: what was asked, what was found
// and how far to trust it in plain sentences first, then each explained image with its slider, then
// the figures and where they come from. Needs what ingest, classifier, direction, explain and
// evaluate published; training curves, sample grids and stage.json files are shown where they are
// there. A world of ranks writes it once.
nlohmann::json run_report(const ReportConfig& config, RunContext& context);

}  // namespace stylescope
