#include "stages/explain/gather_explanations.hpp"

#include "stages/latent/batches.hpp"

#include <vector>

namespace stylescope {
namespace {

// The parts with one row an image; lambda and the target probabilities are the same for all.
constexpr torch::Tensor ExplanationSet::*kRows[] = {&ExplanationSet::original,
                                                    &ExplanationSet::reconstruction,
                                                    &ExplanationSet::strip,
                                                    &ExplanationSet::targets,
                                                    &ExplanationSet::heat_map,
                                                    &ExplanationSet::difference,
                                                    &ExplanationSet::w,
                                                    &ExplanationSet::f_original,
                                                    &ExplanationSet::f_strip,
                                                    &ExplanationSet::surrogate_strip,
                                                    &ExplanationSet::target_lambda,
                                                    &ExplanationSet::f_targets,
                                                    &ExplanationSet::index,
                                                    &ExplanationSet::label};

}  // namespace

ExplanationSet explain_on_all_ranks(Explainer& explainer, int64_t n,
                                    const std::function<torch::Tensor(int64_t)>& read,
                                    RunContext& context) {
  std::vector<ExplanationSet> mine;
  for_each_batch(context, "explain", n, 1,
                 [&](IndexRange one) { mine.push_back(explainer.explain(read(one.begin))); });
  // A rank without images takes part with empty tensors of the right shapes.
  const auto& first = read(0);
  mine.push_back(explainer.explain(first.slice(0, 0, 0)));

  ExplanationSet all = mine.back();
  for (const auto part : kRows) {
    std::vector<torch::Tensor> rows;
    for (const auto& set : mine) rows.push_back(set.*part);
    all.*part = gather_rows(context.world, torch::cat(rows));
  }
  all.name.resize(static_cast<size_t>(n));
  all.subject.resize(static_cast<size_t>(n));
  return all;
}

}  // namespace stylescope
