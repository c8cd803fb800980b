#include "stages/gan/real_images.hpp"

#include "io/picture.hpp"
#include "stages/training/prefetch.hpp"

namespace stylescope {

RealImages::RealImages(const ImageSet& images, const GanConfig& config, uint64_t seed,
                       torch::TensorOptions options)
    : images_(images),
      rows_(images.indices(Split::train)),
      mirror_(config.mirror),
      conditional_(config.conditional),
      options_(options),
      sampler_(seed, "gan.reals", size() * (mirror_ ? 2 : 1)) {}

RealImages::Read RealImages::read(int64_t step, int64_t batch_size,
                                  const std::vector<int64_t>& local) {
  Read result;
  std::vector<int64_t> rows;
  for (size_t i = 0; i < local.size(); ++i) {
    const int64_t position = sampler_.index(step * batch_size + local[i]);
    rows.push_back(rows_[static_cast<size_t>(position % size())]);
    if (position >= size()) result.flipped.push_back(static_cast<int64_t>(i));
  }
  if (rows.empty()) return result;
  result.pixels = staged_for(options_.device(), images_.read(rows));
  if (conditional_) result.labels = one_hot(rows);
  return result;
}

RealBatch RealImages::batch(const Read& read) const {
  RealBatch result;
  if (!read.pixels.defined()) return result;
  auto pixels = to_device(read.pixels, options_.device());
  if (!read.flipped.empty()) {
    const auto index = torch::tensor(read.flipped, torch::kInt64).to(pixels.device());
    pixels.index_copy_(0, index, pixels.index_select(0, index).flip(3));
  }
  result.images = to_network(pixels, options_);
  if (conditional_) result.labels = read.labels.to(options_);
  return result;
}

torch::Tensor RealImages::one_hot(const std::vector<int64_t>& rows) const {
  auto labels = torch::zeros(
      {static_cast<int64_t>(rows.size()), static_cast<int64_t>(images_.label_names().size())});
  for (size_t i = 0; i < rows.size(); ++i)
    labels[static_cast<int64_t>(i)][images_.record(rows[i]).label] = 1;
  return labels;
}

}  // namespace stylescope
