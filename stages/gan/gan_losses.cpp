#include "stages/gan/gan_losses.hpp"

#include <cmath>

namespace stylescope {

torch::Tensor generator_loss(const torch::Tensor& fake_logits) {
  return torch::softplus(-fake_logits).view(-1);
}

torch::Tensor discriminator_loss_fake(const torch::Tensor& fake_logits) {
  return torch::softplus(fake_logits).view(-1);
}

torch::Tensor discriminator_loss_real(const torch::Tensor& real_logits) {
  return torch::softplus(-real_logits).view(-1);
}

torch::Tensor r1_penalty(const torch::Tensor& logits, const torch::Tensor& images) {
  const auto gradient = torch::autograd::grad({logits.sum()}, {images}, {}, /*retain_graph=*/true,
                                              /*create_graph=*/true)[0];
  return gradient.square().sum({1, 2, 3});
}

torch::Tensor path_lengths(const torch::Tensor& images, const torch::Tensor& ws,
                           const torch::Tensor& noise) {
  const double scale = 1 / std::sqrt(static_cast<double>(images.size(2) * images.size(3)));
  const auto gradient = torch::autograd::grad({(images * (noise * scale)).sum()}, {ws}, {},
                                              /*retain_graph=*/true, /*create_graph=*/true)[0];
  return gradient.square().sum(2).mean(1).sqrt();
}

PathPenalty path_penalty(const torch::Tensor& lengths, double global_mean_length,
                         int64_t global_count, double updated_mean, double decay) {
  const auto distance = lengths.detach() - updated_mean;
  return {(distance - decay * (global_mean_length - updated_mean)) *
              (2.0 / static_cast<double>(global_count)),
          distance.square()};
}

double updated_path_mean(double running_mean, double global_mean_length, double decay) {
  return running_mean + decay * (global_mean_length - running_mean);
}

}  // namespace stylescope
