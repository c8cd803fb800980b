#include "pipeline/stage_disk.hpp"

#include "io/base/error.hpp"
#include "stages/gan/gan_snapshots.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace stylescope {
namespace {

using detail::concatenate;

class Disk {
 public:
  Disk(const Config& config, const KnownImages& images, const NetworkSizes& sizes,
       double image_bytes)
      : config_(config),
        images_(images),
        sizes_(sizes),
        image_bytes_(image_bytes),
        element_(config.precision == "float64" ? 8 : 4) {
    const bool tiles = config.images == "tile";
    side_ = tiles ? config.tile.tile_px : config.ingest.resolution;
    channels_ = tiles ? 3 : config.ingest.channels;
    pixels_ = static_cast<double>(channels_ * side_ * side_);
  }

  std::vector<DiskItem> of(const std::string& stage) {
    if (stage == "ingest" || stage == "tile") images(stage);
    if (stage == "classifier") classifier();
    if (stage == "gan") gan();
    if (stage == "synthesize") pairs();
    if (stage == "encoder") trains("encoder.safetensors", sizes_.encoder, config_.encoder, false);
    if (stage == "direction") direction();
    if (stage == "explain") explanations();
    return std::move(items_);
  }

 private:
  void add(std::string what, double bytes, std::string how, bool passing = false) {
    items_.push_back({std::move(what), {bytes, false, std::move(how)}, passing});
  }
  std::string image_words() const {
    return concatenate(channels_, " x ", side_, " x ", side_, " bytes");
  }

  void images(const std::string& stage) {
    Count bytes = images_.all;
    if (bytes.value) {
      const bool plain = stage == "ingest" || config_.tile.storage == "none";
      const std::string n =
          (bytes.at_most ? "at most " : "") + number_words(*bytes.value) + " images x ";
      const bool measured = !plain && image_bytes_ > 0;
      bytes.value = *bytes.value * (measured ? image_bytes_ : pixels_);
      bytes.at_most = bytes.at_most || (!plain && !measured);
      bytes.how = n + (measured ? number_words(image_bytes_) + " bytes, as measured (" +
                                      config_.tile.storage + ")"
                                : image_words());
      if (!plain && !measured) bytes.how += ", less by " + config_.tile.storage;
    }
    items_.push_back({stage == "tile" ? "shards of images.h5" : "images.h5", bytes, false});
    if (stage == "tile" && config_.tile.source == "phantom") drawn_slides();
  }

  // A pyramid of JPEG tiles, halved from level to level.
  void drawn_slides() {
    const auto& drawn = config_.tile.phantom;
    const double pixels = static_cast<double>(drawn.slide.width * drawn.slide.height);
    const double raw = static_cast<double>(drawn.slides) * pixels * 3 * 4 / 3;
    items_.push_back(
        {"drawn slides",
         {raw, true,
          concatenate(drawn.slides, " slides x ", drawn.slide.width, " x ", drawn.slide.height,
                      " x 3 bytes, and a third for smaller levels, less by JPEG")},
         false});
  }

  void checkpoints(double state, const CheckpointConfig& config, const std::string& how) {
    const auto copies = static_cast<double>(config.keep + 1);
    add("checkpoints", copies * state,
        concatenate("(", config.keep, " kept + 1 being written) x ", bytes_words(state), ": ", how),
        true);
  }

  void trains(const std::string& file, const NetworkSize& size, const SupervisedConfig& config,
              bool keeps_best) {
    const auto parameters = static_cast<double>(size.parameters),
               whole = static_cast<double>(size.parameters + size.buffers);
    add(file, whole * element_,
        concatenate(number_words(whole), " numbers x ", element_, " bytes"));
    const double moments = config.optimizer == "sgd" ? 1 : 2;
    const double state = (whole * (keeps_best ? 2 : 1) + moments * parameters) * element_;
    checkpoints(state, config.checkpoint,
                concatenate(number_words(parameters), " parameters and what ", config.optimizer,
                            " keeps of each", keeps_best ? ", and the best weights so far" : ""));
  }

  void classifier() {
    const auto& given = config_.classifier.black_box;
    if (given.trained_here())
      return trains("classifier.safetensors", sizes_.classifier, config_.classifier, true);
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(given.file, failure);
    if (!given.file.empty() && !failure)
      add("classifier.pt", static_cast<double>(bytes), "a copy of " + given.file);
  }

  void gan() {
    const auto& config = config_.gan;
    const auto g = static_cast<double>(sizes_.generator.parameters),
               d = static_cast<double>(sizes_.discriminator.parameters),
               g_whole = g + static_cast<double>(sizes_.generator.buffers),
               d_whole = d + static_cast<double>(sizes_.discriminator.buffers);
    add("G and D", (g_whole + d_whole) * element_,
        concatenate(number_words(g_whole + d_whole), " numbers x ", element_, " bytes"));
    const int64_t steps = gan_steps(config);
    const int64_t snapshots = steps / steps_between_snapshots(config, steps);
    const auto kept = static_cast<double>(std::min(snapshots, config.snapshots_keep));
    if (config.metrics.on() && config.metrics.keep_best)
      add("the best G", g_whole * element_,
          concatenate(number_words(g_whole), " numbers x ", element_, " bytes"));
    if (kept > 0)
      add("snapshots of G", kept * g_whole * element_,
          concatenate(number_words(kept), " x ", bytes_words(g_whole * element_)));
    // All grids are kept, as files and for TensorBoard; there are one more and one of real images.
    const auto grids = static_cast<double>(2 * snapshots + 2);
    items_.push_back({"grids of pictures",
                      {grids * static_cast<double>(kGridImages) * pixels_, true,
                       concatenate(number_words(grids), " x ", kGridImages, " x ", image_words(),
                                   ", less by PNG")},
                      false});
    const double buffers = g_whole - g;
    auto kept_checkpoints = config.checkpoint;
    if (config.sentinel.on) kept_checkpoints.keep += 4;  // anchors
    checkpoints((4 * g + 3 * d + 2 * buffers) * element_, kept_checkpoints,
                concatenate(number_words(g), " parameters of G, 4 times (itself, average, Adam), ",
                            number_words(d), " of D, 3 times"));
  }

  void pairs() {
    const auto samples = static_cast<double>(config_.synthesize.samples);
    const int64_t w = config_.gan.w_dim;
    add("pairs", samples * (pixels_ + static_cast<double>(w * element_) + 8),
        concatenate(number_words(samples), " pairs x (", image_words(), " + ", w, " of w x ",
                    element_, " bytes + 8)"));
  }

  void direction() {
    const auto samples = static_cast<double>(config_.synthesize.samples);
    constexpr double kFigures = 8 + 8 + 1;  // score, logit, held out
    add("direction.safetensors",
        samples * kFigures + 2 * 8 * static_cast<double>(config_.gan.w_dim),
        concatenate(number_words(samples), " pairs x 17 bytes (score, logit, held out) + alpha"));
  }

  void explanations() {
    const auto& e = config_.explain;
    const double images =
        static_cast<double>(e.indices.empty() ? e.images : static_cast<int64_t>(e.indices.size()));
    const double pictures =
        2 + static_cast<double>(e.steps) + static_cast<double>(e.targets.size());
    const double maps = 2 * 4 * static_cast<double>(side_ * side_);
    add("explanations.h5", images * (pictures * pixels_ + maps),
        concatenate(number_words(images), " x (", number_words(pictures), " pictures x ",
                    image_words(), " + 2 maps x ", side_, " x ", side_, " x 4 bytes)"));
  }

  const Config& config_;
  const KnownImages& images_;
  const NetworkSizes& sizes_;
  double image_bytes_;
  int64_t element_, side_ = 0, channels_ = 0;
  double pixels_ = 0;
  std::vector<DiskItem> items_;
};

}  // namespace

std::vector<DiskItem> stage_disk(const Config& config, const std::string& stage,
                                 const KnownImages& images, const NetworkSizes& sizes,
                                 double image_bytes) {
  return Disk(config, images, sizes, image_bytes).of(stage);
}

}  // namespace stylescope
