#include "stages/supervised/image_statistics.hpp"

#include "distributed/work_partition.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

constexpr int64_t kImagesAtOnce = 256;

// (C): the mean over images and pixels.
torch::Tensor channel_mean(const torch::Tensor& sum, int64_t images) {
  const auto values = static_cast<double>(images * sum.size(1) * sum.size(2));
  return sum.sum({1, 2}).to(torch::kFloat64).div(values);
}

std::vector<double> to_vector(const torch::Tensor& values) {
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

}  // namespace

torch::Tensor ImageStatistics::mean_image() const {
  return sum.to(torch::kFloat64).div(static_cast<double>(images));
}

std::vector<double> ImageStatistics::mean() const {
  return to_vector(channel_mean(sum, images).div(255));
}

std::vector<double> ImageStatistics::stddev() const {
  const auto variance = channel_mean(square_sum, images) - channel_mean(sum, images).square();
  const auto deviation = variance.clamp_min(0).sqrt().div(255);
  return to_vector(torch::where(deviation > 0, deviation, torch::ones_like(deviation)));
}

ImageStatistics image_statistics(const ImageSet& images, Split split, Communicator& world) {
  const auto rows = images.indices(split);
  const auto mine = share_of(static_cast<int64_t>(rows.size()), world.rank(), world.size());
  const at::ArrayRef<int64_t> all(rows);
  ImageStatistics result;
  result.images = static_cast<int64_t>(rows.size());
  result.sum = torch::zeros({images.channels(), images.height(), images.width()}, torch::kInt64);
  result.square_sum = torch::zeros_like(result.sum);
  for (int64_t begin = mine.begin; begin < mine.end; begin += kImagesAtOnce) {
    const auto count = std::min(kImagesAtOnce, mine.end - begin);
    const auto pixels =
        images.read(all.slice(static_cast<size_t>(begin), static_cast<size_t>(count)))
            .to(torch::kInt64);
    result.sum.add_(pixels.sum(0));
    result.square_sum.add_(pixels.square().sum(0));
  }
  world.all_reduce(result.sum);
  world.all_reduce(result.square_sum);
  return result;
}

}  // namespace stylescope
