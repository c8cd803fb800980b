#include "stages/quality/metrics_config.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <filesystem>

namespace stylescope {
namespace {

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

void MetricsConfig::describe(Fields& f) {
  f.field("figures", figures,
          "fd: Frechet distance; kid: kernel distance; pr: precision and recall; ppl: path length "
          "in W");
  f.field("images", images, {2, 100'000'000}, "how many are generated for a figure");
  f.field("real_images", real_images, {0, 100'000'000},
          "training images they are compared with, drawn by the seed (0: all)");
  f.choice("features", features, {"classifier", "script", "inception"},
           "what images are compared by: the run's own classifier, a TorchScript file, or the "
           "published Inception, given as a TorchScript file (only then is a figure called FID)");
  f.field("feature_file", feature_file, "the TorchScript file of script and inception");
  f.choice("feature_input", feature_input, {"uint8", "unit", "symmetric", "imagenet"},
           "script: what it takes: bytes, [0, 1], [-1, 1], or ImageNet's normalisation");
  f.field("psi", psi, {-4, 4}, "truncation of the generated images; 1: none, as is usual");
  f.choice("noise", noise, {"random", "constant"}, "per-pixel noise of the generated images");
  f.field("batch", batch, {1, 65536}, "images a call of a network on a rank");
  f.field("kid_subsets", kid_subsets, {1, 1'000'000},
          "subsets whose kernel distances are averaged");
  f.field("kid_subset_size", kid_subset_size, {2, 1'000'000}, "images of each kind in a subset");
  f.field("neighbours", neighbours, {1, 1000}, "k of precision and recall");
}

void MetricsConfig::check(const std::string& section,
                          const std::vector<std::string>& allowed) const {
  if (figures.empty())
    throw UsageError(section + "figures is empty; name some of " + listed(allowed));
  for (const auto& figure : figures)
    if (std::ranges::count(allowed, figure) == 0)
      throw UsageError(section + "figures: '" + figure + "' is none of " + listed(allowed));
  if (uses_classifier()) {
    if (!feature_file.empty())
      throw UsageError(section + "feature_file is given, but " + section +
                       "features says classifier; say script, or inception if it is that");
    return;
  }
  if (feature_file.empty())
    throw UsageError(section + "features is " + features + ", but " + section +
                     "feature_file names no TorchScript file; give one");
  if (!std::filesystem::exists(feature_file))
    throw UsageError(feature_file + ": is not there (" + section +
                     "feature_file); give a TorchScript file");
  if (features == "inception" && feature_input != "uint8")
    throw UsageError(section + "feature_input is " + feature_input +
                     ", but the published Inception takes bytes; leave it at uint8");
}

bool MetricsConfig::wants(const std::string& figure) const {
  return std::ranges::count(figures, figure) > 0;
}

}  // namespace stylescope
