#include "stages/evaluate/test_split.hpp"

#include "io/base/error.hpp"
#include "stages/latent/batches.hpp"

#include <algorithm>

namespace stylescope {
namespace {

void fill_labels(TestSplit& split, const ImageSet& images, const std::string& file,
                 const BlackBox& f) {
  const auto positive = f.positive_labels(images.label_names());
  std::vector<int64_t> labels;
  for (const auto row : split.rows) {
    const auto& record = images.record(row);
    labels.push_back(std::ranges::count(positive, record.label) > 0 ? 1 : 0);
    split.subjects.push_back(record.subject);
  }
  split.labels = torch::tensor(labels, torch::kLong);
  const auto positives = split.labels.sum().item<int64_t>();
  validate(positives > 0 && positives < split.labels.numel(), file, ": all ", split.labels.numel(),
           " test images are on the same side of classifier.positive, so that nothing can be told "
           "apart; give the test "
           "split images of both kinds (ingest.split), or change classifier.positive");
}

// One row an image: f(x), logit of f~(E(x)), f(G(E(x))), absolute and squared error.
torch::Tensor measure(const torch::Tensor& pixels, TrainedNetworks& networks, int64_t batch) {
  auto& f = *networks.f;
  const auto w = networks.encoder.encode(pixels, batch);
  const auto reconstruction = pictures_of(networks.generator, w);
  const auto difference =
      (pixels.to(torch::kFloat64) - reconstruction.to(torch::kFloat64)).flatten(1);
  return torch::stack(
      {f.scores(pixels, batch), networks.direction.surrogate_logits(w),
       f.scores(reconstruction, batch), difference.abs().mean(1), difference.square().mean(1)},
      1);
}

}  // namespace

TestSplit measure_test_split(const ImageSet& images, const std::string& file,
                             TrainedNetworks& networks, int64_t batch, RunContext& context) {
  TestSplit split;
  split.rows = images.indices(Split::test);
  validate(!split.rows.empty(), file, ": has no test images; check the split fractions of ingest");
  fill_labels(split, images, file, *networks.f);

  std::vector<torch::Tensor> mine{torch::empty({0, 5}, torch::kFloat64)};
  for_each_batch(context, "evaluate: test images", static_cast<int64_t>(split.rows.size()), batch,
                 [&](IndexRange part) {
                   const std::vector<int64_t> rows(split.rows.begin() + part.begin,
                                                   split.rows.begin() + part.end);
                   mine.push_back(measure(images.read(rows), networks, batch));
                 });
  const auto columns = gather_rows(context.world, torch::cat(mine)).unbind(1);
  split.f = columns[0].contiguous();
  split.surrogate_logits = columns[1].contiguous();
  split.f_reconstruction = columns[2].contiguous();
  split.absolute_error = columns[3].contiguous();
  split.squared_error = columns[4].contiguous();
  return split;
}

}  // namespace stylescope
