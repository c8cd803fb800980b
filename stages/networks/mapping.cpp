#include "stages/networks/mapping.hpp"

#include "io/base/error.hpp"
#include "stages/ops/normalize.hpp"

#include <string>

namespace stylescope {
namespace {

void check_input(const torch::Tensor& x, int64_t dim, const char* what) {
  SS_CHECK(x.defined() == (dim > 0), what,
           dim > 0 ? " is missing" : " given to a network without one");
  SS_CHECK(dim == 0 || (x.dim() == 2 && x.size(1) == dim), what, " has the shape ", x.sizes(),
           ", not (N, ", dim, ")");
}

}  // namespace

MappingNetworkImpl::MappingNetworkImpl(int64_t z_dim, int64_t c_dim, int64_t w_dim, int64_t layers,
                                       Operations operations)
    : z_dim_(z_dim), c_dim_(c_dim) {
  if (z_dim > 0) w_avg = register_buffer("w_avg", torch::zeros({w_dim}));
  if (c_dim > 0)
    embed_ =
        register_module("embed", FullyConnected(c_dim, w_dim, Activation::linear, 1, operations));
  int64_t in = z_dim + (c_dim > 0 ? w_dim : 0);
  for (int64_t i = 0; i < layers; ++i, in = w_dim)
    layers_.push_back(
        register_module(std::string("fc").append(std::to_string(i)),
                        FullyConnected(in, w_dim, Activation::lrelu, learning_rate, operations)));
}

torch::Tensor MappingNetworkImpl::forward(const torch::Tensor& z, const torch::Tensor& c) {
  check_input(z, z_dim_, "z");
  check_input(c, c_dim_, "the label c");
  torch::Tensor x = z_dim_ > 0 ? normalize_second_moment(z) : torch::Tensor();
  if (c_dim_ > 0) {
    const auto label = normalize_second_moment(embed_(c));
    x = x.defined() ? torch::cat({x, label}, 1) : label;
  }
  for (auto& layer : layers_) x = layer(x);
  return x;
}

}  // namespace stylescope
