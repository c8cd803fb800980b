#include "stages/networks/batch_norm.hpp"

#include "io/base/error.hpp"

namespace stylescope {

BatchNormImpl::BatchNormImpl(int64_t channels) {
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_var = register_buffer("running_var", torch::ones({channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", torch::zeros({}, torch::kLong));
}

torch::Tensor BatchNormImpl::forward(const torch::Tensor& x) {
  if (!is_training()) {
    return torch::batch_norm(x, weight, bias, running_mean, running_var, false, momentum, epsilon,
                             true);
  }
  const int64_t values = x.numel() / x.size(1);
  validate(values > 1, "batch normalisation: a group of ", x.size(0), " image(s) leaves ", values,
           " value(s) a channel (no variance can be taken); use larger groups or larger images");
  auto [y, mean, inverse_deviation] =
      torch::native_batch_norm(x, weight, bias, {}, {}, true, momentum, epsilon);
  gather(mean, inverse_deviation, values);
  return y;
}

void BatchNormImpl::gather(const torch::Tensor& mean, const torch::Tensor& inverse_deviation,
                           int64_t values) {
  torch::NoGradGuard no_grad;
  const double n = static_cast<double>(values);
  auto biased = inverse_deviation.to(torch::kDouble).pow(-2).sub_(epsilon).clamp_min_(0);
  auto unbiased = biased.mul_(n / (n - 1));
  if (!mean_sum.defined()) {
    mean_sum = torch::zeros_like(unbiased);
    var_sum = torch::zeros_like(unbiased);
  }
  mean_sum.add_(mean);
  var_sum.add_(unbiased);
}

void BatchNormImpl::fold(const torch::Tensor& mean, const torch::Tensor& variance) {
  torch::NoGradGuard no_grad;
  running_mean.mul_(1 - momentum).add_(mean.to(running_mean.scalar_type()), momentum);
  running_var.mul_(1 - momentum).add_(variance.to(running_var.scalar_type()), momentum);
  num_batches_tracked.add_(1);
  mean_sum.reset();
  var_sum.reset();
}

void BatchNormImpl::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  Module::to(device, dtype, non_blocking);
  num_batches_tracked.set_data(num_batches_tracked.to(torch::kLong));
}

void BatchNormImpl::to(torch::Dtype dtype, bool non_blocking) {
  Module::to(dtype, non_blocking);
  num_batches_tracked.set_data(num_batches_tracked.to(torch::kLong));
}

}  // namespace stylescope
