#include "io/base/error.hpp"
#include "io/sha256.hpp"
#include "pipeline/config.hpp"
#include "stages/tile/slide_list.hpp"

namespace stylescope {
namespace {

// Of the weights that training starts from; "" without such.
std::string weights_fingerprint(const std::string& file) {
  return file.empty() ? "" : sha256_of_file(file);
}

// Its figures while it trains may be taken by the classifier's features, or those of a file.
Stage gan_stage(Config& config) {
  const GanConfig& gan = config.gan;
  std::vector<std::string> inputs{config.images};
  if (gan.metrics.on() && gan.metrics.uses_classifier()) inputs.push_back("classifier");
  auto stage = make_stage("gan", "StyleGAN2, trained on the training images", 2, std::move(inputs),
                          config.gan, run_gan, [&gan] {
                            const bool file = gan.metrics.on() && !gan.metrics.uses_classifier();
                            return weights_fingerprint(gan.init_generator) +
                                   weights_fingerprint(gan.init_discriminator) +
                                   weights_fingerprint(file ? gan.metrics.feature_file : "");
                          });
  stage.check = [&config, own = stage.check] {
    if (own) own();
    if (config.gan.metrics.on() && config.gan.metrics.uses_classifier() &&
        !config.classifier.black_box.trained_here())
      throw UsageError(
          "gan.metrics.features is classifier, but f (classifier.kind: " +
          config.classifier.black_box.kind +
          ") shows its answers alone, and no features; say gan.metrics.features: script, or "
          "inception, and gan.metrics.feature_file");
  };
  return stage;
}

// Training's first weights, or all that an f is made of that is there already.
Stage classifier_stage(Config& config) {
  const auto& classifier = config.classifier;
  return make_stage("classifier", "the classifier f, trained on the training images", 1,
                    {config.images}, config.classifier, run_classifier, [&classifier] {
                      return classifier.black_box.trained_here()
                                 ? weights_fingerprint(classifier.init)
                                 : classifier.black_box.fingerprint();
                    });
}

Stage images_stage(Config& config) {
  if (config.images == "tile") {
    auto stage =
        make_stage("tile", "whole-slide images to images.h5, split by subject", 1, {}, config.tile,
                   run_tile, [&config] { return tile_fingerprint(config.tile); });
    stage.pieces = [&config] {
      return count_slides(config.tile, static_cast<uint64_t>(config.seed));
    };
    return stage;
  }
  return make_stage("ingest", "pictures to images.h5, split by subject",
                    config.ingest.pseudonyms() ? 2 : 1, {}, config.ingest, run_ingest,
                    [&config] { return ingest_fingerprint(config.ingest); });
}

}  // namespace

// To add a stage: its section in Config (pipeline/config.hpp) and one row here. The number is the
// stage's format version: raise it when the stage's results change, and finished folders of it are
// made again.
std::vector<Stage> stages_of(Config& config) {
  const std::string& images = config.images;
  return {
      images_stage(config),
      classifier_stage(config),
      gan_stage(config),
      make_stage("synthesize", "pairs of latent and image, for encoder and direction", 1,
                 {images, "gan"}, config.synthesize, run_synthesize),
      make_stage("encoder", "the encoder E, from images to latents", 1,
                 {images, "gan", "synthesize"}, config.encoder, run_encoder,
                 [&config] { return weights_fingerprint(config.encoder.init); }),
      make_stage("direction", "the direction in W along which the classifier's answer changes", 1,
                 {"classifier", "synthesize"}, config.direction, run_direction),
      make_stage("explain", "images moved along the direction, beside GradCAM", 1,
                 {images, "classifier", "gan", "encoder", "direction"}, config.explain,
                 run_explain),
      make_stage("evaluate", "how good all of it is, on the test images", 2,
                 {images, "classifier", "gan", "synthesize", "encoder", "direction", "explain"},
                 config.evaluate, run_evaluate),
      make_stage("report", "one HTML file that shows it", 2,
                 {images, "classifier", "gan", "synthesize", "encoder", "direction", "explain",
                  "evaluate"},
                 config.report, run_report),
  };
}

}  // namespace stylescope
