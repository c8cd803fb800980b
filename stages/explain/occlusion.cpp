#include "stages/explain/occlusion.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <vector>

namespace stylescope {
namespace {

// Where patches begin along a side: the first one with the image, and the last one ends with it.
std::vector<int64_t> places(int64_t side, int64_t patch, int64_t patches) {
  const int64_t steps = std::max<int64_t>(2 * patches - 2, 1);
  std::vector<int64_t> begins;
  for (int64_t k = 0; k <= steps; ++k) {
    const int64_t at = (k * (side - patch) + steps / 2) / steps;
    if (begins.empty() || at > begins.back()) begins.push_back(at);
  }
  return begins;
}

}  // namespace

torch::Tensor occlusion_map(const torch::Tensor& image, int64_t patches, int64_t batch,
                            const std::function<torch::Tensor(const torch::Tensor&)>& f) {
  const int64_t side = image.size(-1);
  SS_CHECK(image.dim() == 3 && image.size(1) == side && patches > 0 && batch > 0, image.sizes());
  const int64_t patch = std::max<int64_t>((side + patches - 1) / patches, 1);
  const auto mean =
      image.to(torch::kFloat64).mean({1, 2}, true).round().to(torch::kUInt8);  // (C, 1, 1)
  const auto begins = places(side, patch, patches);
  const auto count = static_cast<int64_t>(begins.size());
  const auto cut = [&](const torch::Tensor& picture, int64_t i) {
    const int64_t y = begins[static_cast<size_t>(i / count)],
                  x = begins[static_cast<size_t>(i % count)];
    return picture.slice(-2, y, y + patch).slice(-1, x, x + patch);
  };

  const double whole = f(image.unsqueeze(0))[0].item<double>();
  auto sum = torch::zeros({side, side}, torch::kFloat64), covered = torch::zeros_like(sum);
  for (int64_t begin = 0; begin < count * count; begin += batch) {
    const int64_t n = std::min(batch, count * count - begin);
    const auto pictures = image.unsqueeze(0).repeat({n, 1, 1, 1});
    for (int64_t i = 0; i < n; ++i) cut(pictures[i], begin + i).copy_(mean);
    const auto change = (f(pictures) - whole).abs();
    for (int64_t i = 0; i < n; ++i) {
      cut(sum, begin + i).add_(change[i]);
      cut(covered, begin + i).add_(1);
    }
  }
  return sum.div_(covered).to(torch::kFloat32);
}

}  // namespace stylescope
