#pragma once

#include <type_traits>

#include <torch/types.h>

// The types that our CPU passes take: what values are stored as, and what is computed in.
namespace stylescope::detail {

// bfloat16 is stored only: its arithmetic, and what is constant over an image (biases, styles), is
// in float.
template <class S>
using ComputeType = std::conditional_t<std::is_same_v<S, c10::BFloat16>, float, S>;

inline bool is_stored_type(torch::Dtype type) {
  return type == torch::kFloat32 || type == torch::kFloat64 || type == torch::kBFloat16;
}
inline torch::Dtype compute_type(torch::Dtype type) {
  return type == torch::kBFloat16 ? torch::kFloat32 : type;
}

// body(S()) for the type that `type` names.
template <class Body>
void with_stored_type(torch::Dtype type, const Body& body) {
  if (type == torch::kFloat32)
    body(float());
  else if (type == torch::kFloat64)
    body(double());
  else
    body(c10::BFloat16());
}

}  // namespace stylescope::detail
