#include "stages/encoder/encoder_measures.hpp"

#include "stages/latent/batches.hpp"
#include "stages/latent/trained_networks.hpp"
#include "stages/supervised/image_statistics.hpp"

#include <algorithm>
#include <functional>

namespace stylescope {
namespace {

// This rank's batches of 0..n-1.
void each_local_batch(int64_t n, int64_t batch, Communicator& world,
                      const std::function<void(IndexRange)>& work) {
  const auto mine = whole_batches(n, batch, world.rank(), world.size());
  for (int64_t begin = mine.begin; begin < mine.end; begin += batch)
    work({begin, std::min(begin + batch, mine.end)});
}

// (sum of absolute, sum of squared) differences.
torch::Tensor difference_sums(const torch::Tensor& a, const torch::Tensor& b) {
  const auto difference = a.to(torch::kFloat64) - b.to(torch::kFloat64);
  return torch::stack({difference.abs().sum(), difference.square().sum()});
}

}  // namespace

Determination determination(Encoder& encoder, const PairSet& pairs, const torch::Tensor& w,
                            IndexRange range, int64_t batch, Communicator& world) {
  auto errors = torch::zeros({w.size(1)}, torch::kFloat64);
  each_local_batch(range.size(), batch, world, [&](IndexRange part) {
    const IndexRange rows{range.begin + part.begin, range.begin + part.end};
    const auto found =
        encoder.encode(pairs.read_images(indices_of(rows)), batch).to(torch::kCPU, torch::kFloat64);
    errors.add_((found - w.slice(0, rows.begin, rows.end).to(torch::kFloat64)).square().sum(0));
  });
  world.all_reduce(errors);
  const auto truth = w.slice(0, range.begin, range.end).to(torch::kFloat64);
  const auto deviations = (truth - truth.mean(0)).square().sum(0);
  Determination result;
  result.pooled = 1 - (errors.sum() / deviations.sum()).item<double>();
  const auto varies = deviations > 0;
  const auto each = 1 - errors.masked_select(varies) / deviations.masked_select(varies);
  result.mean = each.mean().item<double>();
  result.median = each.quantile(0.5).item<double>();
  return result;
}

Reconstruction reconstruction(Encoder& encoder, Generator& generator, const ImageSet& images,
                              int64_t batch, Communicator& world) {
  const auto mean_image = image_statistics(images, Split::train, world).mean_image();
  const auto rows = images.indices(Split::val);
  const at::ArrayRef<int64_t> all(rows);
  auto sums = torch::zeros({4}, torch::kFloat64);
  each_local_batch(static_cast<int64_t>(rows.size()), batch, world, [&](IndexRange part) {
    const auto pixels =
        images.read(all.slice(static_cast<size_t>(part.begin), static_cast<size_t>(part.size())));
    const auto again = pictures_of(generator, encoder.encode(pixels, batch));
    sums.add_(torch::cat({difference_sums(again, pixels), difference_sums(mean_image, pixels)}));
  });
  world.all_reduce(sums);
  sums.div_(static_cast<double>(static_cast<int64_t>(rows.size()) * mean_image.numel()));
  const auto* s = sums.const_data_ptr<double>();
  return {{s[0], s[1]}, {s[2], s[3]}};
}

}  // namespace stylescope
