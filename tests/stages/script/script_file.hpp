#pragma once

#include "stages/script/script_module.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/temp_dir.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/script.h>

namespace stylescope::testing_support {

// The module as others get it: saved, and read by LibTorch alone.
inline torch::jit::Module through_a_file(const torch::jit::Module& module) {
  const TempDir dir;
  const auto file = (dir / "network.pt").string();
  save_script(file, module);
  return torch::jit::load(file);
}

inline torch::Tensor call(torch::jit::Module& module, const char* function,
                          std::vector<c10::IValue> inputs, const torch::jit::Kwargs& named = {}) {
  const torch::NoGradGuard no_grad;
  return module.get_method(function)(std::move(inputs), named).toTensor();
}

// Relative to the largest magnitude: float64 to 1e-9, float32 to 1e-5.
inline void expect_same(const torch::Tensor& actual, const torch::Tensor& expected) {
  ASSERT_EQ(actual.scalar_type(), expected.scalar_type());
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const double bound = expected.scalar_type() == torch::kFloat64 ? 1e-9 : 1e-5;
  EXPECT_LE(golden::relative_error(actual, expected), bound);
}

}  // namespace stylescope::testing_support
