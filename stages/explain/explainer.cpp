#include "stages/explain/explainer.hpp"

#include "stages/explain/occlusion.hpp"
#include "stages/explain/target_search.hpp"
#include "stages/networks/grad_cam.hpp"

#include <cmath>

namespace stylescope {
namespace {

// Room for n explanations of L steps and P targets.
ExplanationSet make_set(int64_t n, const torch::Tensor& lambda, const std::vector<double>& targets,
                        const TrainedNetworks& networks) {
  const int64_t c = networks.channels(), r = networks.resolution(), steps = lambda.numel();
  const auto p = static_cast<int64_t>(targets.size());
  const auto bytes = torch::dtype(torch::kUInt8), reals = torch::dtype(torch::kFloat64);
  ExplanationSet set;
  set.original = torch::zeros({n, c, r, r}, bytes);
  set.reconstruction = torch::zeros({n, c, r, r}, bytes);
  set.strip = torch::zeros({n, steps, c, r, r}, bytes);
  set.targets = torch::zeros({n, p, c, r, r}, bytes);
  set.heat_map = torch::zeros({n, r, r}, torch::kFloat32);
  set.heat_map_kind = networks.f->network() ? "gradcam" : "occlusion";
  set.difference = torch::zeros({n, r, r}, torch::kFloat32);
  set.w = torch::zeros({n, networks.direction.alpha.numel()}, reals);
  set.lambda = lambda;
  set.f_original = torch::zeros({n}, reals);
  set.f_strip = torch::zeros({n, steps}, reals);
  set.surrogate_strip = torch::zeros({n, steps}, reals);
  set.target_lambda = torch::zeros({n, p}, reals);
  set.f_targets = torch::zeros({n, p}, reals);
  set.target_probability = torch::tensor(targets, reals);
  set.index = torch::full({n}, -1, torch::kInt64);
  set.label = torch::full({n}, -1, torch::kInt64);
  set.name.resize(static_cast<size_t>(n));
  set.subject.resize(static_cast<size_t>(n));
  return set;
}

torch::Tensor lambda_grid(const ExplainConfig& config, const Direction& direction) {
  const double end = direction.lambda_of_sd(config.lambda_sd);
  const int64_t half = config.steps / 2;
  // From integers, so that the middle is exactly 0 and the grid symmetric to the bit.
  return torch::arange(-half, half + 1, torch::kFloat64) * (end / static_cast<double>(half));
}

}  // namespace

Explainer::Explainer(TrainedNetworks& networks, const ExplainConfig& config)
    : networks_(networks),
      targets_(config.targets),
      batch_(config.batch),
      occlusion_(config.occlusion),
      lambda_(lambda_grid(config, networks.direction)) {}

ExplanationSet Explainer::explain(const torch::Tensor& images) {
  auto set = make_set(images.size(0), lambda_, targets_, networks_);
  for (int64_t row = 0; row < images.size(0); ++row) fill(set, row, images[row]);
  return set;
}

void Explainer::fill(ExplanationSet& set, int64_t row, const torch::Tensor& image) {
  auto& f = *networks_.f;
  const auto x = image.unsqueeze(0);
  const auto w = networks_.encoder.encode(x, 1)[0];
  const auto strip = pictures_along(networks_, w, lambda_, batch_);
  const auto moved = w.to(torch::kCPU, torch::kFloat64).unsqueeze(0) +
                     lambda_.unsqueeze(1) * networks_.direction.alpha.unsqueeze(0);
  set.original[row].copy_(image);
  set.strip[row].copy_(strip);
  set.reconstruction[row].copy_(strip[lambda_.numel() / 2]);
  set.difference[row].copy_(
      (strip[-1].to(torch::kFloat32) - strip[0].to(torch::kFloat32)).abs().mean(0));
  set.w[row].copy_(w);
  set.f_original[row].copy_(f.scores(x, 1)[0]);
  set.f_strip[row].copy_(f.scores(strip, batch_));
  set.surrogate_strip[row].copy_(networks_.direction.surrogate_logits(moved).sigmoid());
  set.heat_map[row].copy_(heat_map(image));
  find_targets(set, row);
}

torch::Tensor Explainer::heat_map(const torch::Tensor& image) {
  auto& f = *networks_.f;
  if (auto* own = f.network()) {
    const auto x = own->prepare(image.unsqueeze(0));
    return grad_cam(own->network, x, log_odds_target(own->positive)).map[0].detach();
  }
  return occlusion_map(image, occlusion_, batch_,
                       [&](const torch::Tensor& covered) { return f.scores(covered, batch_); });
}

void Explainer::find_targets(ExplanationSet& set, int64_t row) {
  const auto w = set.w[row].to(networks_.generator->parameters().front().options());
  const auto pictures = [&](const torch::Tensor& lambda) {
    return pictures_along(networks_, w, lambda, batch_);
  };
  const auto found = stylescope::find_targets(
      lambda_, set.f_strip[row], targets_,
      [&](const torch::Tensor& lambda) { return networks_.f->scores(pictures(lambda), batch_); });
  for (size_t i = 0; i < found.size(); ++i) {
    const auto target = static_cast<int64_t>(i);
    set.target_lambda[row][target] = found[i].lambda;
    set.f_targets[row][target] = found[i].probability;
    if (std::isfinite(found[i].lambda))
      set.targets[row][target].copy_(
          pictures(torch::full({1}, found[i].lambda, torch::kFloat64))[0]);
  }
}

}  // namespace stylescope
