#pragma once

#include "stages/report/report_inputs.hpp"

#include <string>

// The parts of the report, as HTML.
namespace stylescope {

// What was asked, what was found, how far to trust it.
std::string summary_section(const ReportInputs& inputs);
std::string data_section(const ReportInputs& inputs);
// Curves of metrics.jsonl, and generated images beside real ones.
std::string training_section(const ReportInputs& inputs);
std::string metrics_section(const ReportInputs& inputs);
// "" unless the images are phantoms.
std::string phantom_section(const ReportInputs& inputs);
// Whether the direction moves the phantom's cause, or gives away that the classifier has learned
// the nuisance, in a sentence.
std::string phantom_verdict(const ReportInputs& inputs);
// stage.json of every stage in the run directory.
std::string manifest_section(const ReportInputs& inputs);

// "0.95 (0.92 to 0.97)" of an interval of evaluation.json, "n/a" where it is not defined.
std::string interval_text(const ReportInputs& inputs, const std::string& path, int digits);

}  // namespace stylescope
