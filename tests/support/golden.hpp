#pragma once

#include <map>
#include <string>

#include <torch/torch.h>

// The golden data (tests/golden/README.md) and the rule that its inputs and weights are made by.
namespace stylescope::golden {

// All tensors of tests/golden/<set>.safetensors. The folder comes from the environment variable
// STYLESCOPE_GOLDEN.
const std::map<std::string, torch::Tensor>& load(const std::string& set);

// The value rule: float32-rounded uniform numbers of this mean and standard deviation, widened to
// float64.
torch::Tensor values(const std::string& name, int64_t seed, at::IntArrayRef shape, double mean = 0,
                     double std = 1);
// U(i) of the rule in double (float32-rounded where `rounded`).
torch::Tensor uniform(const std::string& name, int64_t seed, at::IntArrayRef shape,
                      bool rounded = true);
// The probe vector r(i) of an array's name, in double.
torch::Tensor probe(const std::string& name, at::IntArrayRef shape);

// Compares a computed tensor with what is stored under `key` in `set`: in full (K), by samples
// (K.s) and by checksum (K.chk), whichever are there; at least one must be. `rel` is relative to
// the L2 norm (checksums) or to the largest magnitude (values); float32-stored arrays get at least
// 1e-7. `name` is the probe/sample name; by default the key after its first '/'.
void expect_equal(const std::string& set, const std::string& key, const torch::Tensor& actual,
                  double rel, std::string name = "");

// Largest absolute difference over the largest magnitude of `expected` (at least `floor`).
double relative_error(const torch::Tensor& actual, const torch::Tensor& expected,
                      double floor = 1e-30);

}  // namespace stylescope::golden
