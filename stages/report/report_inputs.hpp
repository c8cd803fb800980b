#pragma once

#include "io/explanation_set.hpp"
#include "io/image_set.hpp"
#include "stages/html/explanation_cards.hpp"
#include "stages/run_context.hpp"

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace stylescope {

// What the report is made from.
struct ReportInputs {
  std::filesystem::path run_dir;
  ImageSet images;
  ExplanationSet explanations;
  nlohmann::json evaluation;
  html::CardLegend legend;
  std::string about_f;            // "the TorchScript file knee.pt"
  bool f_is_own = true;           // trained by this run, and can be looked into
  nlohmann::json images_metrics;  // of the stage that made the images; {} where it left no record

  // A figure of evaluation.json by its path ("/agreement/kappa"); NaN where it is absent or null.
  double figure(const std::string& path) const;
  bool has(const std::string& path) const;
};

// Throws Error, naming the file, when one is missing or damaged.
ReportInputs read_report_inputs(const RunContext& context);

}  // namespace stylescope
