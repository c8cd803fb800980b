#include "stages/report/report_inputs.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "stages/artifacts.hpp"
#include "stages/latent/direction_file.hpp"
#include "stages/networks/classifier.hpp"

#include <limits>

namespace stylescope {
namespace {

nlohmann::json read_evaluation(const std::filesystem::path& file) {
  const auto evaluation = nlohmann::json::parse(read_text(file), nullptr, false);
  validate(evaluation.is_object(), file.string(),
           ": is no JSON object (cut off or edited); run the evaluate stage again");
  return evaluation;
}

}  // namespace

double ReportInputs::figure(const std::string& path) const {
  const nlohmann::json::json_pointer pointer(path);
  if (!evaluation.contains(pointer) || !evaluation.at(pointer).is_number())
    return std::numeric_limits<double>::quiet_NaN();
  return evaluation.at(pointer).get<double>();
}

bool ReportInputs::has(const std::string& path) const {
  const nlohmann::json::json_pointer pointer(path);
  return evaluation.contains(pointer) && !evaluation.at(pointer).is_null();
}

ReportInputs read_report_inputs(const RunContext& context) {
  const auto& run = context.run_dir;
  const auto classifier =
      load_classifier((run / artifacts::classifier).string(), torch::kCPU, torch::kFloat32);
  const auto direction = load_direction(run / artifacts::direction);
  return {run,
          ImageSet(context.images_file()),
          read_explanations(run / artifacts::explanations),
          read_evaluation(run / artifacts::evaluation),
          {classifier.class_names, classifier.positive, direction.lambda_of_sd(1)}};
}

}  // namespace stylescope
