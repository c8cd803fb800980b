#pragma once

#include <torch/types.h>

namespace stylescope {

// x / sqrt(mean of x^2 along `dim` + 1e-8).
torch::Tensor normalize_second_moment(const torch::Tensor& x, int64_t dim = 1);

}  // namespace stylescope
