#include "stages/report/report_inputs.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/load_black_box.hpp"
#include "stages/latent/direction_file.hpp"

#include <limits>

namespace stylescope {
namespace {

nlohmann::json read_evaluation(const std::filesystem::path& file) {
  const auto evaluation = nlohmann::json::parse(read_text(file), nullptr, false);
  validate(evaluation.is_object(), file.string(),
           ": is no JSON object (cut off or edited); run the evaluate stage again");
  return evaluation;
}

// Of stage.json in `folder`.
nlohmann::json read_metrics_of(const std::filesystem::path& folder) {
  const auto file = folder / "stage.json";
  if (!std::filesystem::exists(file)) return nlohmann::json::object();
  const auto record = nlohmann::json::parse(read_text(file), nullptr, false);
  return record.is_object() ? record.value("metrics", nlohmann::json::object())
                            : nlohmann::json::object();
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
  const auto f = load_black_box_alone(context);
  const auto direction = load_direction(run / artifacts::direction);
  ImageSet images(context.images_file());
  auto label_names = images.label_names();
  return {run,
          std::move(images),
          read_explanations(run / artifacts::explanations),
          read_evaluation(run / artifacts::evaluation),
          {std::move(label_names), f->positive_names(), direction.lambda_of_sd(1)},
          f->about(),
          f->network() != nullptr,
          read_metrics_of(context.images_file().parent_path())};
}

}  // namespace stylescope
