#include "stages/evaluate/associations.hpp"

#include "stages/evaluate/json_interval.hpp"
#include "stages/metrics/agreement.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

namespace stylescope {
namespace {

// An attribute's values, of the images that it is known of.
struct Known {
  std::vector<int64_t> rows;  // of the test split
  std::vector<double> values;
  bool differs() const {
    return std::ranges::any_of(values, [&](double v) { return v != values.front(); });
  }
};

void add(std::map<std::string, Known>& known, const std::string& name, size_t row, double value) {
  known[name].rows.push_back(static_cast<int64_t>(row));
  known[name].values.push_back(value);
}

// Numbers as they are; of an attribute of texts, for each text whether it is this one (of two, that
// says it for both).
std::map<std::string, Known> known_attributes(const ImageSet& images, const TestSplit& split) {
  std::map<std::string, Known> known;
  for (size_t i = 0; i < split.rows.size(); ++i)
    for (const auto& [name, value] : images.record(split.rows[i]).attributes) {
      if (!std::isfinite(value)) continue;
      const auto& texts = images.value_names(name);
      if (texts.empty()) add(known, name, i, value);
      for (size_t k = texts.size() == 2 ? 1 : 0; k < texts.size(); ++k)
        add(known, name + " = " + texts[k], i, static_cast<size_t>(value) == k ? 1 : 0);
    }
  return known;
}

torch::Tensor standardised_ranks(const torch::Tensor& values) {
  const auto ranks = ranks_of(values), centred = ranks - ranks.mean();
  const double deviation = centred.square().mean().sqrt().item<double>();
  return deviation > 0 ? centred / deviation : centred;
}

// Of ranks that are given, not made anew in every draw.
nlohmann::json correlation(const torch::Tensor& a, const torch::Tensor& b,
                           const std::vector<std::string>& subjects, const EvaluateConfig& config,
                           uint64_t seed) {
  return to_json(
      bootstrap_subjects(subjects, config.bootstrap, seed, [&](const std::vector<int64_t>& rows) {
        const auto chosen = torch::tensor(rows, torch::kLong);
        return pearson(a.index_select(0, chosen), b.index_select(0, chosen));
      }));
}

double strength(const nlohmann::json& association) {
  const double value = association["within_label"]["value"].get<double>();
  return std::isfinite(value) ? std::abs(value) : -1;
}

}  // namespace

torch::Tensor ranks_within(const torch::Tensor& values, const torch::Tensor& labels) {
  auto ranks = torch::zeros_like(values);
  for (const int64_t label : {0, 1}) {
    const auto rows = labels.eq(label).nonzero().squeeze(1);
    if (rows.numel() > 0)
      ranks.index_copy_(0, rows, standardised_ranks(values.index_select(0, rows)));
  }
  return ranks;
}

nlohmann::json associations(const ImageSet& images, const TestSplit& split,
                            const EvaluateConfig& config, uint64_t seed) {
  std::vector<nlohmann::json> found;
  for (const auto& [name, known] : known_attributes(images, split)) {
    if (!known.differs()) continue;
    const auto rows = torch::tensor(known.rows, torch::kLong);
    const auto values = torch::tensor(known.values, torch::kFloat64);
    const auto f = split.f.index_select(0, rows), labels = split.labels.index_select(0, rows);
    std::vector<std::string> subjects;
    for (const auto row : known.rows) subjects.push_back(split.subjects[static_cast<size_t>(row)]);
    found.push_back(
        {{"attribute", name},
         {"images", known.rows.size()},
         {"overall",
          correlation(standardised_ranks(values), standardised_ranks(f), subjects, config, seed)},
         {"within_label", correlation(ranks_within(values, labels), ranks_within(f, labels),
                                      subjects, config, seed)}});
  }
  std::ranges::stable_sort(found, std::greater<>{}, strength);
  return found;
}

}  // namespace stylescope
