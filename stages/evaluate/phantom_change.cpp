#include "stages/evaluate/phantom_change.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "stages/evaluate/json_interval.hpp"
#include "stages/latent/batches.hpp"
#include "stages/metrics/agreement.hpp"
#include "stages/phantom/knee_measurement.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace stylescope {
namespace {

torch::Tensor measure(const torch::Tensor& picture) {
  return torch::tensor({measure_joint_width(picture), measure_nuisance(picture)}, torch::kFloat64);
}

// (N, 2): joint width and nuisance, measured in every real test image.
torch::Tensor measure_real(const ImageSet& images, const std::vector<int64_t>& rows, int64_t batch,
                           RunContext& context) {
  std::vector<torch::Tensor> mine{torch::empty({0, 2}, torch::kFloat64)};
  for_each_batch(context, "evaluate: measuring test images", static_cast<int64_t>(rows.size()),
                 batch, [&](IndexRange part) {
                   const std::vector<int64_t> some(rows.begin() + part.begin,
                                                   rows.begin() + part.end);
                   for (const auto& picture : images.read(some).unbind())
                     mine.push_back(measure(picture).unsqueeze(0));
                 });
  return gather_rows(context.world, torch::cat(mine));
}

// (n, 2): the change of both measurements from the lower to the upper end.
torch::Tensor measure_change(const ImageSet& images, const std::vector<int64_t>& rows,
                             TrainedNetworks& networks, const EvaluateConfig& config,
                             RunContext& context) {
  const double end = networks.direction.lambda_of_sd(config.phantom_sd);
  const auto ends = torch::tensor({-end, end}, torch::kFloat64);
  std::vector<torch::Tensor> mine{torch::empty({0, 2}, torch::kFloat64)};
  for_each_batch(context, "evaluate: phantom along alpha", static_cast<int64_t>(rows.size()), 1,
                 [&](IndexRange one) {
                   const auto w = networks.encoder.encode(
                       images.read({rows[static_cast<size_t>(one.begin)]}), 1)[0];
                   const auto pictures = pictures_along(networks, w, ends, 2);
                   mine.push_back((measure(pictures[1]) - measure(pictures[0])).unsqueeze(0));
                 });
  return gather_rows(context.world, torch::cat(mine));
}

std::vector<int64_t> chosen_rows(const std::vector<int64_t>& rows, int64_t count, uint64_t seed) {
  const auto n = static_cast<int64_t>(rows.size());
  const auto order = keyed_permutation({seed, "evaluate.phantom_images", 0}, n);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < std::min(count, n); ++i)
    chosen.push_back(rows[static_cast<size_t>(order[i].item<int64_t>())]);
  std::ranges::sort(chosen);
  return chosen;
}

double true_width_pearson(const ImageSet& images, const std::vector<int64_t>& rows,
                          const torch::Tensor& measured) {
  std::vector<double> widths;
  for (const auto row : rows) {
    const auto& attributes = images.record(row).attributes;
    const auto found = attributes.find("joint_width");
    if (found == attributes.end()) return std::numeric_limits<double>::quiet_NaN();
    widths.push_back(found->second);
  }
  return pearson(torch::tensor(widths, torch::kFloat64), measured);
}

// By more than half a standard deviation, without doubt.
bool is_moved(const Interval& change) { return change.low > 0.5 || change.high < -0.5; }

std::string moved(const Interval& causing, const Interval& nuisance) {
  if (is_moved(causing)) return is_moved(nuisance) ? "both" : "cause";
  return is_moved(nuisance) ? "nuisance" : "neither";
}

}  // namespace

bool is_phantom(const ImageSet& images) {
  const auto source = nlohmann::json::parse(images.source_json(), nullptr, false);
  return source.is_object() && source.value("source", "") == "phantom";
}

nlohmann::json summarise(const PhantomChange& change, const EvaluateConfig& config, uint64_t seed) {
  const auto interval =
      [&](const std::function<double(const torch::Tensor&, const torch::Tensor&)>& statistic) {
        return bootstrap_subjects(change.subjects, config.bootstrap, seed,
                                  [&](const std::vector<int64_t>& rows) {
                                    const auto chosen = torch::tensor(rows, torch::kLong);
                                    return statistic(change.causing.index_select(0, chosen),
                                                     change.nuisance.index_select(0, chosen));
                                  });
      };
  const auto mean = [](const torch::Tensor& t) { return t.mean().item<double>(); };
  using T = const torch::Tensor&;
  const auto causing = interval([&](T causing, T) { return mean(causing); }),
             nuisance = interval([&](T, T nuisance) { return mean(nuisance); });
  return {{"images", change.causing.numel()},
          {"sd", config.phantom_sd},
          {"causing", to_json(interval([&](T causing, T) { return mean(causing.abs()); }))},
          {"nuisance", to_json(interval([&](T, T nuisance) { return mean(nuisance.abs()); }))},
          {"causing_signed", to_json(causing)},
          {"nuisance_signed", to_json(nuisance)},
          {"ratio", to_json(interval([&](T causing, T nuisance) {
             return mean(causing.abs()) / mean(nuisance.abs());
           }))},
          {"moves", moved(causing, nuisance)}};
}

nlohmann::json evaluate_phantom(const ImageSet& images, TrainedNetworks& networks,
                                const EvaluateConfig& config, RunContext& context) {
  const auto rows = images.indices(Split::test);
  const auto real = measure_real(images, rows, config.batch, context);
  const auto deviation = real.std(0);
  validate(deviation.min().item<double>() > 0,
           "evaluate: the joint width or the marker is the same in all test images of the phantom, "
           "so changes cannot be "
           "measured by their spread; draw more subjects (ingest.phantom.subjects)");
  const auto chosen = chosen_rows(rows, config.phantom_images, context.seed);
  const auto change = measure_change(images, chosen, networks, config, context) / deviation;
  PhantomChange phantom{change.select(1, 0).contiguous(), change.select(1, 1).contiguous(), {}};
  for (const auto row : chosen) phantom.subjects.push_back(images.record(row).subject);
  auto figures = summarise(phantom, config, context.seed);
  figures["measured_width_pearson"] =
      true_width_pearson(images, rows, real.select(1, 0).contiguous());
  return figures;
}

}  // namespace stylescope
