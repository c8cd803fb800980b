#include "stages/metrics/neighbours.hpp"

#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

namespace stylescope {
namespace {

constexpr int64_t kQueries = 256, kPoints = 8192;  // of a block: 16 MB of distances
constexpr int64_t kGathered = 1 << 22;             // numbers of points gathered at a time: 32 MB

// Calls work(first, last) for this rank's blocks of queries, and puts the rows that it returns
// together on every rank.
std::vector<torch::Tensor> by_blocks(
    int64_t queries, Communicator& world,
    const std::function<std::vector<torch::Tensor>(int64_t, int64_t)>& work) {
  const auto blocks = share_of((queries + kQueries - 1) / kQueries, world.rank(), world.size());
  // A rank without a block learns the shapes from an empty one.
  std::vector<std::vector<torch::Tensor>> columns;
  for (auto& column : work(0, 0)) columns.push_back({column});
  for (int64_t b = blocks.begin; b < blocks.end; ++b) {
    const auto rows = work(b * kQueries, std::min((b + 1) * kQueries, queries));
    for (size_t i = 0; i < rows.size(); ++i) columns[i].push_back(rows[i]);
  }
  std::vector<torch::Tensor> all;
  for (const auto& column : columns)
    all.push_back(torch::cat(world.all_gather(torch::cat(column).contiguous())));
  return all;
}

// Features in float64, less a common offset: what is left of |a|^2 + |b|^2 - 2ab is then as exact
// as the features' spread allows, wherever they lie.
class Space {
 public:
  explicit Space(const torch::Tensor& origin_of) : origin_(origin_of.mean(0).to(torch::kDouble)) {}
  torch::Tensor rows(const torch::Tensor& features, int64_t first, int64_t last) const {
    return features.slice(0, first, last).to(torch::kDouble) - origin_;
  }

 private:
  torch::Tensor origin_;
};

// (N, M). What rounding alone can make is zero.
torch::Tensor squared_distances(const torch::Tensor& a, const torch::Tensor& b) {
  const auto sizes = a.square().sum(1).unsqueeze(1) + b.square().sum(1).unsqueeze(0);
  const auto squares = torch::addmm(sizes, a, b.t(), 1, -2);
  return squares.masked_fill(squares < 1e-14 * sizes, 0);
}

// Of the queries (N, D) to the points at indices (N, k), from the differences.
torch::Tensor exact_distances(const torch::Tensor& queries, const torch::Tensor& points,
                              const torch::Tensor& indices) {
  const int64_t n = queries.size(0), k = indices.size(1), d = points.size(1);
  const int64_t piece = std::max<int64_t>(1, kGathered / std::max<int64_t>(1, k * d));
  std::vector<torch::Tensor> parts{torch::empty({0, k}, torch::kDouble)};
  for (int64_t begin = 0; begin < n; begin += piece) {
    const int64_t end = std::min(begin + piece, n);
    const auto near = points.index_select(0, indices.slice(0, begin, end).flatten());
    const auto steps = near.to(torch::kDouble).view({end - begin, k, d}) -
                       queries.slice(0, begin, end).to(torch::kDouble).unsqueeze(1);
    parts.push_back(steps.square().sum(2).sqrt());
  }
  return torch::cat(parts);
}

// The k nearest by squared distances; their distances again, from the differences: exact, so that a
// copy lies at 0.
std::vector<torch::Tensor> nearest_of_block(const torch::Tensor& queries,
                                            const torch::Tensor& points, int64_t first,
                                            int64_t last, int64_t k, bool others,
                                            const Space& space) {
  const auto q = space.rows(queries, first, last);
  auto squares = torch::empty({last - first, 0}, torch::kDouble);
  auto indices = torch::empty({last - first, 0}, torch::kLong);
  for (int64_t begin = 0; begin < points.size(0); begin += kPoints) {
    const int64_t end = std::min(begin + kPoints, points.size(0));
    auto block = squared_distances(q, space.rows(points, begin, end));
    if (others)
      for (int64_t i = std::max(first, begin); i < std::min(last, end); ++i)
        block[i - first][i - begin] = std::numeric_limits<double>::infinity();
    const auto numbers = torch::arange(begin, end, torch::kLong).expand_as(block);
    squares = torch::cat({squares, block}, 1);
    indices = torch::cat({indices, numbers}, 1);
    const auto best = squares.topk(std::min(k, squares.size(1)), 1, false);
    squares = std::get<0>(best);
    indices = indices.gather(1, std::get<1>(best));
  }
  const auto exact = exact_distances(queries.slice(0, first, last), points, indices);
  const auto [distance, order] = exact.sort(true, 1, false);
  return {distance, indices.gather(1, order)};
}

Nearest nearest(const torch::Tensor& queries, const torch::Tensor& points, int64_t k, bool others,
                Communicator& world) {
  SS_CHECK(queries.dim() == 2 && points.dim() == 2 && queries.size(1) == points.size(1) && k > 0,
           queries.sizes(), " and ", points.sizes());
  validate(points.size(0) >= k + (others ? 1 : 0), "neighbours: ", k, " nearest of ",
           points.size(0), " images were asked for; use more images");
  const Space space(points);
  const auto all = by_blocks(queries.size(0), world, [&](int64_t first, int64_t last) {
    return nearest_of_block(queries, points, first, last, k, others, space);
  });
  return {all[0], all[1]};
}

// The share of queries that lie in the ball of one point at least.
double share_within(const torch::Tensor& queries, const torch::Tensor& points,
                    const torch::Tensor& radius, Communicator& world) {
  const Space space(points);
  const auto squared_radius = radius.square();
  const auto within = by_blocks(queries.size(0), world, [&](int64_t first, int64_t last) {
    const auto q = space.rows(queries, first, last);
    auto inside = torch::zeros({last - first}, torch::kBool);
    for (int64_t begin = 0; begin < points.size(0); begin += kPoints) {
      const int64_t end = std::min(begin + kPoints, points.size(0));
      const auto squares = squared_distances(q, space.rows(points, begin, end));
      inside = inside.logical_or((squares <= squared_radius.slice(0, begin, end)).any(1));
    }
    return std::vector<torch::Tensor>{inside.to(torch::kDouble)};
  });
  return within[0].mean().item<double>();
}

}  // namespace

Nearest nearest_points(const torch::Tensor& queries, const torch::Tensor& points, int64_t k,
                       Communicator& world) {
  return nearest(queries, points, k, false, world);
}

Nearest nearest_others(const torch::Tensor& points, int64_t k, Communicator& world) {
  return nearest(points, points, k, true, world);
}

PrecisionRecall precision_recall(const torch::Tensor& real, const torch::Tensor& generated,
                                 int64_t k, Communicator& world) {
  const auto reach = [&](const torch::Tensor& features) {
    return nearest_others(features, k, world).distance.select(1, k - 1).contiguous();
  };
  return {share_within(generated, real, reach(real), world),
          share_within(real, generated, reach(generated), world)};
}

}  // namespace stylescope
