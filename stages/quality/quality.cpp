#include "stages/quality/quality.hpp"

#include "io/base/error.hpp"
#include "stages/latent/batches.hpp"
#include "stages/metrics/frechet.hpp"
#include "stages/metrics/kernel_distance.hpp"
#include "stages/metrics/neighbours.hpp"
#include "stages/quality/generated_images.hpp"
#include "stages/quality/path_length.hpp"
#include "stages/quality/real_features.hpp"

#include <algorithm>

namespace stylescope {
namespace {

// Divided by N, as the published FID is. Each rank adds up its share of the rows that all hold.
Moments moments_on_ranks(const torch::Tensor& features, Communicator& world) {
  constexpr int64_t kRows = 1024;
  StreamingMoments sums(features.size(1));
  const auto mine = whole_batches(features.size(0), kRows, world.rank(), world.size());
  for (int64_t begin = mine.begin; begin < mine.end; begin += kRows)
    sums.add(features.slice(0, begin, std::min(begin + kRows, mine.end)));
  sums.reduce(world);
  return sums.moments(0);
}

torch::Tensor generated_features(GeneratedImages& source, FeatureNetwork& network,
                                 const MetricsConfig& config, RunContext& context) {
  std::vector<torch::Tensor> mine;
  for_each_batch(
      context, "quality: generated images", config.images, config.batch,
      [&](IndexRange part) { mine.push_back(network.features(source.pixels(indices_of(part)))); });
  return gather_features(context.world, mine);
}

}  // namespace

std::string QualityFigure::name() const {
  return metric == "fid" || metric == "kid" ? metric : metric + "[" + features + "]";
}

const QualityFigure* QualityResult::frechet() const {
  for (const auto& figure : figures)
    if (figure.metric == "frechet_distance" || figure.metric == "fid") return &figure;
  return nullptr;
}

QualityMeter::QualityMeter(const MetricsConfig& config, const ImageSet& images,
                           FeatureNetwork& network, RunContext& context)
    : config_(config),
      images_(images),
      network_(network),
      context_(context),
      rows_(stylescope::real_rows(images, config, context)) {}

const torch::Tensor& QualityMeter::real_features() {
  if (!real_.defined())
    real_ = stylescope::real_features(images_, rows_, network_, config_, context_);
  return real_;
}

QualityResult QualityMeter::measure(Generator generator) {
  GeneratedImages source(generator, images_, config_, context_);
  QualityResult result;
  const auto& c = config_;
  if (c.wants("fd") || c.wants("kid") || c.wants("pr") || c.wants("memorisation")) {
    real_features();
    result.generated = generated_features(source, network_, c, context_);
    validate(result.generated.size(1) == real_.size(1), network_.file(), ": gives ",
             result.generated.size(1), " features of generated images and ", real_.size(1),
             " of training images; script a network whose features do not depend on the images");
  }
  if (c.wants("fd")) add_frechet(result);
  if (c.wants("kid")) add_kernel(result);
  if (c.wants("pr")) add_precision_recall(result);
  if (c.wants("ppl")) {
    auto path = figure("path_length", result);
    path.value = path_length(source, network_, c.images, c.batch, context_);
    path.real = 0;
    path.generated = c.images;
    path.remark = network_.distance_name() + ", in W, epsilon 1e-4, path ends";
    result.figures.push_back(path);
  }
  return result;
}

QualityFigure QualityMeter::figure(const std::string& metric, const QualityResult& result) const {
  QualityFigure figure;
  figure.metric = metric;
  figure.features = network_.name();
  figure.real = static_cast<int64_t>(rows_.size());
  figure.generated = result.generated.defined() ? result.generated.size(0) : 0;
  return figure;
}

void QualityMeter::add_frechet(QualityResult& result) {
  auto frechet = figure(network_.is_inception() ? "fid" : "frechet_distance", result);
  if (!real_moments_) real_moments_ = moments_on_ranks(real_, context_.world);
  const auto generated = moments_on_ranks(result.generated, context_.world);
  // Decompositions may differ in their last bits between hosts: one rank's answer is everyone's.
  auto value = torch::zeros({1}, torch::kDouble);
  on_root(context_.world, [&] { value[0] = frechet_distance(*real_moments_, generated); });
  context_.world.broadcast(value, 0);
  frechet.value = value.item<double>();
  const auto fewest = std::min(frechet.real, frechet.generated), d = real_.size(1);
  if (fewest <= d)
    result.warnings.push_back(detail::concatenate(
        frechet.name(), ": ", fewest, fewest == frechet.real ? " training" : " generated",
        " images for ", d, " features (the covariance has not full rank, and the figure is biased ",
        "upwards); compare it only with figures of as many images, or look at the kernel distance ",
        "(kid), which has no such bias"));
  result.figures.push_back(frechet);
}

void QualityMeter::add_kernel(QualityResult& result) {
  auto kernel = figure(network_.is_inception() ? "kid" : "kernel_distance", result);
  const auto distance = kernel_distance(
      real_, result.generated, {config_.kid_subsets, config_.kid_subset_size, context_.seed},
      context_.world);
  kernel.value = distance.mean;
  kernel.deviation = distance.deviation;
  kernel.remark =
      detail::concatenate(distance.subsets, distance.subsets == 1 ? " subset" : " subsets", " of ",
                          distance.subset_size);
  result.figures.push_back(kernel);
}

void QualityMeter::add_precision_recall(QualityResult& result) {
  const auto k = config_.neighbours;
  validate(std::min(real_.size(0), result.generated.size(0)) > k, "precision and recall: of ",
           real_.size(0), " training and ", result.generated.size(0), " generated images (more ",
           "than ", k, " of each are needed: neighbours); use more images, or leave pr out");
  const auto both = precision_recall(real_, result.generated, k, context_.world);
  auto precision = figure("precision", result), recall = figure("recall", result);
  precision.value = both.precision;
  recall.value = both.recall;
  precision.remark = recall.remark = "k = " + std::to_string(k);
  result.figures.push_back(precision);
  result.figures.push_back(recall);
}

}  // namespace stylescope
