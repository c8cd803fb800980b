#include "stages/explain/strip_pictures.hpp"

#include "io/picture.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace stylescope {
namespace {

constexpr int64_t kSmallestSide = 96;
constexpr int64_t kGridSteps = 7;

torch::Tensor enlarged(const torch::Tensor& images) {
  const int64_t factor =
      std::max<int64_t>((kSmallestSide + images.size(-1) - 1) / images.size(-1), 1);
  return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2);
}

// (2 + steps, C, H, W) of one explained image.
torch::Tensor row_of(const ExplanationSet& set, int64_t row, const torch::Tensor& steps) {
  return torch::cat({set.original[row].unsqueeze(0), set.reconstruction[row].unsqueeze(0),
                     set.strip[row].index_select(0, steps)});
}

}  // namespace

void write_strip_pictures(const std::filesystem::path& folder, const ExplanationSet& set) {
  const int64_t steps = set.lambda.numel();
  const auto all = torch::arange(steps, torch::kLong);
  for (int64_t row = 0; row < set.size(); ++row) {
    char name[32];
    std::snprintf(name, sizeof name, "strip-%03ld.png", static_cast<long>(row));
    write_png(folder / name, tile_grid(enlarged(row_of(set, row, all)), steps + 2));
  }
  const int64_t shown = std::min(steps, kGridSteps);
  const auto some = torch::linspace(0, static_cast<double>(steps - 1), shown, torch::kFloat64)
                        .round()
                        .to(torch::kLong);
  std::vector<torch::Tensor> rows;
  for (int64_t row = 0; row < set.size(); ++row) rows.push_back(row_of(set, row, some));
  write_png(folder / "strips.png", tile_grid(enlarged(torch::cat(rows)), shown + 2));
}

}  // namespace stylescope
