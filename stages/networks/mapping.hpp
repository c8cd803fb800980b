#pragma once

#include "stages/networks/layers.hpp"

#include <vector>

#include <torch/torch.h>

namespace stylescope {

// StyleGAN2's mapping network (Karras et al. 2019, "A Style-Based Generator Architecture", section
// 2; labels as in Karras et al. 2020, "Training GANs with Limited Data", appendix C): z normalised,
// the label embedded, normalised and appended, then `layers` leaky layers at a hundredth of the
// learning rate. The discriminator has one of the label alone.
class MappingNetworkImpl : public torch::nn::Module {
 public:
  static constexpr double learning_rate = 0.01;

  // z_dim 0: of the label alone, without w_avg. c_dim 0: of z alone.
  MappingNetworkImpl(int64_t z_dim, int64_t c_dim, int64_t w_dim, int64_t layers,
                     Operations operations = Operations::fast);
  // z (N, z_dim), c (N, c_dim) -> (N, w_dim); undefined where the dimension is 0.
  torch::Tensor forward(const torch::Tensor& z, const torch::Tensor& c);

  torch::Tensor w_avg;  // (w_dim)

 private:
  int64_t z_dim_, c_dim_;
  FullyConnected embed_{nullptr};
  std::vector<FullyConnected> layers_;
};
TORCH_MODULE(MappingNetwork);

}  // namespace stylescope
