#pragma once

#include <torch/types.h>

namespace stylescope {

// Whether winograd_conv3x3() suits this convolution: 3x3, on the CPU, float32, float64 or bfloat16,
// 64 channels or more, in sixteens, and enough pixels for the transformed weights to pay (which
// depends on the number of samples).
bool winograd_suits(const torch::Tensor& x, const torch::Tensor& weight);

// Cross-correlation with padding 1 and stride 1 by the minimal filtering algorithm F(4x4, 3x3)
// (Winograd 1980; Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks",
// section 4): a quarter of the multiplications. x: [N,I,H,W]; weight: [O,I,3,3]; both multiplied by
// nothing else than `gain` of the weight. Result [N,O,H,W], channels_last. Differentiable in x and
// weight to any order. In float32 its error is a few times that of a direct convolution (some
// 3e-6 of the largest value). In bfloat16 values at the points are rounded, too, and summed up in
// float32: the error is some 1 % of the result's standard deviation, where rounding the result
// alone gives 0.2 %. It does not depend on the number of threads.
torch::Tensor winograd_conv3x3(const torch::Tensor& x, const torch::Tensor& weight,
                               double gain = 1);

}  // namespace stylescope
