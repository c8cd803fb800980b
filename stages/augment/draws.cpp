#include "stages/augment/draws.hpp"

#include "distributed/random.hpp"

#include <cstddef>
#include <numeric>
#include <string>

#include <torch/torch.h>

namespace stylescope {
namespace {

std::string purpose(std::string_view what, std::string_view call) {
  return "gan.augment." + std::string(what) + "." + std::string(call);
}

}  // namespace

// GatedPoint's x and y are visited as an array of two.
static_assert(offsetof(GatedPoint, y) == offsetof(GatedPoint, x) + sizeof(double));

std::vector<ImageDraws> KeyedAugmentSource::draws(int64_t step, std::string_view call,
                                                  int64_t batch) {
  int64_t uniform_count = 0, normal_count = 0;
  ImageDraws counted;
  visit_draws(counted, [&](double AugmentOperations::*, Distribution kind, double*, int count) {
    (kind == Distribution::normal ? normal_count : uniform_count) += count;
  });
  std::vector<int64_t> samples(static_cast<size_t>(batch));
  std::iota(samples.begin(), samples.end(), 0);
  const auto uniforms = keyed_uniform({seed_, purpose("uniform", call), step}, samples,
                                      {uniform_count}, torch::kFloat64);
  const auto normals = keyed_normal({seed_, purpose("normal", call), step}, samples, {normal_count},
                                    torch::kFloat64);
  const double* u = uniforms.const_data_ptr<double>();
  const double* n = normals.const_data_ptr<double>();
  std::vector<ImageDraws> all(samples.size());
  for (auto& image : all)
    visit_draws(image,
                [&](double AugmentOperations::*, Distribution kind, double* numbers, int count) {
                  for (int i = 0; i < count; ++i)
                    numbers[i] = kind == Distribution::normal ? *n++ : *u++;
                });
  return all;
}

torch::Tensor KeyedAugmentSource::noise(int64_t step, std::string_view call,
                                        at::ArrayRef<int64_t> samples, at::IntArrayRef shape,
                                        const torch::TensorOptions& options) {
  return keyed_normal({seed_, purpose("noise", call), step}, samples, shape, options);
}

}  // namespace stylescope
