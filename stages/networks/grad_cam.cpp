#include "stages/networks/grad_cam.hpp"

#include "io/base/error.hpp"
#include "stages/networks/resnet_io.hpp"

#include <limits>
#include <utility>

namespace stylescope {
namespace {

torch::Tensor indices(const std::vector<int64_t>& values, const torch::Tensor& like) {
  return torch::tensor(values, torch::kLong).to(like.device());
}

// Every map's smallest value to 0 and its largest to 1; a map of one value, as of a target that no
// feature raises, to 0.
torch::Tensor stretched(const torch::Tensor& maps) {
  const auto shifted = maps - maps.amin({1, 2}, true);
  return shifted / (shifted.amax({1, 2}, true) + 1e-7);
}

torch::Tensor resized(const torch::Tensor& maps, int64_t height, int64_t width) {
  return torch::upsample_bilinear2d(maps.unsqueeze(1), {height, width}, false).squeeze(1);
}

}  // namespace

CamTarget class_target(std::vector<int64_t> classes) {
  SS_CHECK(!classes.empty());
  return [classes = std::move(classes)](const torch::Tensor& logits) {
    const int64_t n = logits.size(0);
    SS_CHECK(classes.size() == 1 || static_cast<int64_t>(classes.size()) == n, classes.size(),
             " for ", n);
    return logits.gather(1, indices(classes, logits).expand({n}).unsqueeze(1)).squeeze(1);
  };
}

CamTarget log_odds_target(std::vector<int64_t> positive) {
  return [positive = std::move(positive)](const torch::Tensor& logits) {
    auto chosen =
        torch::zeros({logits.size(1)}, torch::dtype(torch::kBool).device(logits.device()));
    chosen.index_fill_(0, indices(positive, logits), true);
    const int64_t count = chosen.sum().item<int64_t>();
    SS_CHECK(count > 0 && count < logits.size(1), count, " positive of ", logits.size(1));
    const auto without = [&](const torch::Tensor& mask) {
      return logits.masked_fill(mask, -std::numeric_limits<double>::infinity()).logsumexp(1);
    };
    return without(~chosen) - without(chosen);
  };
}

GradCam grad_cam(ResNet& network, const torch::Tensor& x, const CamTarget& target) {
  const Evaluation evaluation(network);
  const auto features = network->features(x);
  GradCam cam;
  torch::Tensor gradient;
  {
    torch::AutoGradMode with_grad(true);
    const auto leaf = features.detach().requires_grad_(true);
    cam.logits = network->head(leaf);
    gradient = torch::autograd::grad({target(cam.logits).sum()}, {leaf}).front();
    cam.logits = cam.logits.detach();
  }
  cam.weights = gradient.mean({2, 3});
  cam.signed_map = (cam.weights.unsqueeze(-1).unsqueeze(-1) * features).sum(1);
  cam.raw = cam.signed_map.relu();
  cam.map = stretched(resized(stretched(cam.raw), x.size(2), x.size(3)));
  return cam;
}

}  // namespace stylescope
