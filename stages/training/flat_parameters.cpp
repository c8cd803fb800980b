#include "stages/training/flat_parameters.hpp"

#include "io/base/error.hpp"

namespace stylescope {

FlatParameters::FlatParameters(torch::nn::Module& module, bool trained)
    : parameters_(module.parameters()) {
  SS_CHECK(!parameters_.empty());
  torch::NoGradGuard no_grad;
  int64_t total = 0;
  for (const auto& p : parameters_) total += p.numel();
  values_ = torch::empty({total}, parameters_[0].options().requires_grad(false));
  if (trained) gradients_ = torch::zeros_like(values_);
  int64_t offset = 0;
  for (auto& p : parameters_) {
    SS_CHECK(p.dtype() == values_.dtype() && p.device() == values_.device());
    auto place = values_.narrow(0, offset, p.numel()).view(p.sizes());
    place.copy_(p);
    p.set_data(place);
    if (trained) p.mutable_grad() = gradients_.narrow(0, offset, p.numel()).view(p.sizes());
    p.set_requires_grad(trained);
    offset += p.numel();
  }
}

void FlatParameters::requires_grad(bool on) {
  for (size_t i = frozen_; i < parameters_.size(); ++i) parameters_[i].set_requires_grad(on);
}

void FlatParameters::freeze(size_t count) {
  SS_CHECK(count <= parameters_.size());
  for (size_t i = 0; i < count; ++i) parameters_[i].set_requires_grad(false);
  frozen_ = count;
}

}  // namespace stylescope
