#include "tests/support/golden_weights.hpp"

#include "tests/support/golden.hpp"

namespace stylescope::golden {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

struct Rule {
  double mean, std;
};

Rule rule_of(const std::string& name) {
  const bool mapping = name.rfind("mapping.fc", 0) == 0;
  if (ends_with(name, "noise_strength")) return {0.2, 0.1};
  if (ends_with(name, "noise_const") || ends_with(name, "const")) return {0, 1};
  if (ends_with(name, "w_avg")) return {0, 0.3};
  if (ends_with(name, "affine.bias")) return {1, 0.1};
  if (ends_with(name, "bias")) return {0, mapping ? 10.0 : 0.1};
  return {0, mapping ? 100.0 : 1.0};
}

}  // namespace

void fill_weights(const std::vector<std::pair<std::string, torch::Tensor>>& state,
                  const std::string& prefix, int64_t seed) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    if (ends_with(name, "resample_filter")) continue;
    const auto rule = rule_of(name);
    tensor.copy_(values(prefix + name, seed, tensor.sizes(), rule.mean, rule.std));
  }
}

}  // namespace stylescope::golden
