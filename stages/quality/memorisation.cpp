#include "stages/quality/memorisation.hpp"

#include "stages/metrics/neighbours.hpp"

#include <algorithm>
#include <limits>

namespace stylescope {
namespace {

// Of each point (M, D) the nearest that is no copy of it, and where that is (M, 1): a training
// image that is there twice would else have nothing that a copy of it could be compared with. All
// are copies: of each some other, at 0.
Nearest nearest_distinct(const torch::Tensor& points, Communicator& world) {
  const auto [distinct, kind, counts] = at::unique_dim(points, 0, true, true);
  if (distinct.size(0) < 2) return nearest_others(points, 1, world);
  const auto among = nearest_others(distinct, 1, world);
  const auto count = points.size(0);
  const auto first = torch::full({distinct.size(0)}, count, torch::kLong)
                         .scatter_reduce(0, kind, torch::arange(count, torch::kLong), "amin");
  const auto other = first.index_select(0, among.index.flatten());
  return {among.distance.index_select(0, kind), other.index_select(0, kind).unsqueeze(1)};
}

// usual is 0 only where all training images are one.
double ratio_of(double distance, double usual) {
  if (distance == 0) return 0;
  return usual > 0 ? distance / usual : std::numeric_limits<double>::infinity();
}

}  // namespace

Memorisation find_memorised(const torch::Tensor& real, const torch::Tensor& generated,
                            int64_t suspects, Communicator& world) {
  const auto among_real = nearest_distinct(real, world);
  const auto to_real = nearest_points(generated, real, 1, world);
  const auto usual = among_real.distance.flatten().contiguous();
  const auto sorted_usual = std::get<0>(usual.sort());
  const auto distance = to_real.distance.flatten();
  // Training images with another one (no copy of them) nearer than this.
  const auto nearer = torch::searchsorted(sorted_usual, distance.contiguous()).to(torch::kDouble) /
                      static_cast<double>(usual.numel());

  std::vector<Suspect> all;
  for (int64_t i = 0; i < distance.numel(); ++i) {
    Suspect s;
    s.generated = i;
    s.nearest = to_real.index[i][0].item<int64_t>();
    s.next = among_real.index[s.nearest][0].item<int64_t>();
    s.distance = distance[i].item<double>();
    s.usual = usual[s.nearest].item<double>();
    s.ratio = ratio_of(s.distance, s.usual);
    s.quantile = nearer[i].item<double>();
    all.push_back(s);
  }
  Memorisation result;
  const auto close = std::ranges::count_if(all, [](const Suspect& s) { return s.ratio < 1; });
  result.nearer_than_usual = static_cast<double>(close) / static_cast<double>(all.size());
  result.median_distance = distance.median().item<double>();
  result.median_usual = usual.median().item<double>();
  std::ranges::sort(all, [](const Suspect& a, const Suspect& b) {
    return a.ratio != b.ratio ? a.ratio < b.ratio : a.generated < b.generated;
  });
  all.resize(std::min(all.size(), static_cast<size_t>(suspects)));
  result.suspects = std::move(all);
  return result;
}

}  // namespace stylescope
