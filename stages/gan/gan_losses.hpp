#pragma once

#include <torch/torch.h>

// The losses of StyleGAN2, each per sample, so that a rank can add up its share and divide by the
// global batch.
namespace stylescope {

// Non-saturating logistic loss (Goodfellow et al. 2014, section 3): softplus(-D(G(z))). (N, 1) ->
// (N).
torch::Tensor generator_loss(const torch::Tensor& fake_logits);
// softplus(D(fake)) and softplus(-D(real)). (N, 1) -> (N).
torch::Tensor discriminator_loss_fake(const torch::Tensor& fake_logits);
torch::Tensor discriminator_loss_real(const torch::Tensor& real_logits);

// R1 (Mescheder et al. 2018, equation 9), without its factor gamma / 2: |d sum(logits) / d
// images|^2, summed over C, H, W. `images` requires grad and is what `logits` were computed from;
// differentiable. -> (N).
torch::Tensor r1_penalty(const torch::Tensor& logits, const torch::Tensor& images);

// Path lengths (Karras et al. 2020, section 3.2): |J^T y| for y = noise / sqrt(H W), where J is the
// derivative of the images by ws (N, num_ws, w_dim): sqrt of the mean over num_ws of the sum over
// w_dim. Differentiable. -> (N).
torch::Tensor path_lengths(const torch::Tensor& images, const torch::Tensor& ws,
                           const torch::Tensor& noise);

// The penalty mean((l_i - a)^2), a = the updated running mean, which itself depends on the mean
// length (the reference does not detach it). The mean couples all samples of all ranks; with the
// global mean length known, the gradient falls apart into one weight a sample: d penalty = sum_i
// weight_i d l_i with
//   weight_i = 2/n ((l_i - a) - decay (mean(l) - a)).
struct PathPenalty {
  torch::Tensor weights;    // (local n), no gradient
  torch::Tensor penalties;  // (local n): (l_i - a)^2, no gradient
};
// `updated_mean`: a.
PathPenalty path_penalty(const torch::Tensor& lengths, double global_mean_length,
                         int64_t global_count, double updated_mean, double decay);
// a, from what it was in the step before.
double updated_path_mean(double running_mean, double global_mean_length, double decay);

}  // namespace stylescope
