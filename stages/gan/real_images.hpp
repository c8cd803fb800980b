#pragma once

#include "io/image_set.hpp"
#include "stages/gan/gan_config.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/training/sampler.hpp"

#include <cstdint>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// The training split as the discriminator sees it: an endless, keyed shuffle; mirroring doubles the
// set.
class RealImages {
 public:
  // `images` must outlive it. options: of what the networks take.
  RealImages(const ImageSet& images, const GanConfig& config, uint64_t seed,
             torch::TensorOptions options);

  // Without the mirrored ones.
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }

  // As they are read.
  struct Read {
    torch::Tensor pixels, labels;
    std::vector<int64_t> flipped;
  };
  // The samples `local` of the global batch of this step. On one thread at a time.
  Read read(int64_t step, int64_t batch_size, const std::vector<int64_t>& local);
  // What was read, as the trainer takes it.
  RealBatch batch(const Read& read) const;
  // The classes of all of them, (size, classes) one-hot.
  torch::Tensor label_pool() const { return one_hot(rows_).to(options_); }

 private:
  torch::Tensor one_hot(const std::vector<int64_t>& rows) const;

  const ImageSet& images_;
  std::vector<int64_t> rows_;
  bool mirror_, conditional_;
  torch::TensorOptions options_;
  EpochSampler sampler_;
};

}  // namespace stylescope
