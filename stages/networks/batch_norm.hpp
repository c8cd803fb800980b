#pragma once

#include <torch/torch.h>

namespace stylescope {

// Batch normalisation whose statistics do not depend on the number of ranks: the global batch is
// cut into fixed groups, each dealt whole to a rank (distributed/work_partition.hpp) and sent
// through the network by itself. In training the module normalises by the statistics of the batch
// it is given (Ioffe and Szegedy 2015, algorithm 1; epsilon 1e-5) and adds them up; fold() then
// moves the running statistics towards their mean over all groups of all ranks. With one group that
// is the ordinary update. In evaluation it normalises by the running statistics.
class BatchNormImpl : public torch::nn::Module {
 public:
  static constexpr double epsilon = 1e-5;
  static constexpr double momentum = 0.1;

  explicit BatchNormImpl(int64_t channels);
  // x (N, channels, H, W) -> the same shape. Throws Error in training when a channel has one value
  // only.
  torch::Tensor forward(const torch::Tensor& x);

  // running <- (1 - momentum) running + momentum mean, unbiased variance; forgets the sums. Both
  // (channels), float64.
  void fold(const torch::Tensor& mean, const torch::Tensor& variance);

  // A change of dtype leaves the counter an integer.
  using Module::to;
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Dtype dtype, bool non_blocking = false) override;

  torch::Tensor weight, bias, running_mean, running_var, num_batches_tracked;
  // Sums since the last fold over the groups seen here: float64, so that the way groups are spread
  // over ranks does not show in float32 runs. Undefined before the first group; not in the state
  // dict.
  torch::Tensor mean_sum, var_sum;

 private:
  void gather(const torch::Tensor& mean, const torch::Tensor& inverse_deviation, int64_t values);
};
TORCH_MODULE(BatchNorm);

}  // namespace stylescope
