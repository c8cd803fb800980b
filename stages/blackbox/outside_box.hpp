#pragma once

#include "stages/blackbox/black_box.hpp"
#include "stages/blackbox/description.hpp"

#include <string>

#include <torch/torch.h>

namespace stylescope {

// An f that was not made here: pictures become its own kind of pictures, and its scores
// probabilities, in one place for all kinds.
class OutsideBox : public BlackBox {
 public:
  torch::Tensor probabilities(const torch::Tensor& images, int64_t batch) override;
  std::string about() const override { return description_.about(); }

 protected:
  explicit OutsideBox(const BlackBoxDescription& description);

  // One batch: (n, C, H, W) uint8, CPU, contiguous, as f takes it -> its scores.
  virtual torch::Tensor answer(const torch::Tensor& images) = 0;
  const BlackBoxDescription& description() const { return description_; }
  // What messages begin with.
  std::string who() const;

 private:
  BlackBoxDescription description_;
};

}  // namespace stylescope
