#pragma once

#include "io/explanation_set.hpp"
#include "stages/explain/explainer.hpp"
#include "stages/run_context.hpp"

#include <functional>

namespace stylescope {

// Explains images 0..n-1, dealt over the ranks one by one; `read` gives image i as (1, C, H, W)
// uint8. All explanations, in order, on every rank, still without names. n >= 1. Collective.
ExplanationSet explain_on_all_ranks(Explainer& explainer, int64_t n,
                                    const std::function<torch::Tensor(int64_t)>& read,
                                    RunContext& context);

}  // namespace stylescope
