#include "stages/gan/gan_stage.hpp"

#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "io/safetensors.hpp"
#include "stages/artifacts.hpp"
#include "stages/gan/gan_networks.hpp"
#include "stages/gan/gan_quality.hpp"
#include "stages/gan/gan_recovery.hpp"
#include "stages/gan/gan_snapshots.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/gan/real_images.hpp"
#include "stages/networks/state.hpp"
#include "stages/training/half_precision.hpp"
#include "stages/training/meters.hpp"
#include "stages/training/prefetch.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr int64_t kGridColumns = 8;

void check_images(const ImageSet& images, const fs::path& file) {
  validate(!images.indices(Split::train).empty(), file.string(),
           ": has no training images; check the split fractions of ingest");
  const auto resolution = static_cast<uint64_t>(images.height());
  validate(images.height() == images.width() && std::has_single_bit(resolution) &&
               resolution >= 16 && resolution <= 1024,
           file.string(), ": holds images of ", images.height(), "x", images.width(),
           " (StyleGAN2 works on squares of a power of two from 16 to 1024); set ingest.resolution "
           "to one");
}

// Grids and generator snapshots on the way, always of the same latents.
class Snapshots {
 public:
  Snapshots(const GanConfig& config, RunContext& context, TrainingLoop& loop, Generator average,
            int64_t total_steps, torch::Tensor label_pool)
      : keep_(config.snapshots_keep), context_(context), loop_(loop), average_(std::move(average)) {
    every_ = steps_between_snapshots(config, total_steps);
    std::vector<int64_t> samples(kGridImages);
    for (int64_t i = 0; i < kGridImages; ++i) samples[static_cast<size_t>(i)] = i;
    KeyedGanDraws draws(context.seed, average_->options(), 0, false, context.options());
    // Step -1 is no training step: the grid's latents are its own.
    latents_ = draws.latents(-1, Phase::g_main, samples);
    if (label_pool.defined())
      labels_ = label_pool.index_select(
          0,
          draws.label_rows(-1, Phase::g_main, samples, label_pool.size(0)).to(label_pool.device()));
  }

  void after(int64_t completed) {
    if (completed % every_ != 0) return;
    on_root(context_.world, [&] {
      const auto folder = context_.out_dir / "snapshots";
      fs::create_directories(folder);
      char name[64];
      std::snprintf(name, sizeof name, "step-%09ld", static_cast<long>(completed));
      const auto grid = draw_grid();
      write_png(folder / (std::string(name) + ".png"), grid);
      loop_.log_image(completed - 1, "samples", grid);
      save_generator((folder / (std::string(name) + ".safetensors")).string(), average_);
      prune(folder);
    });
  }

  // (C, H, W) uint8.
  torch::Tensor draw_grid() {
    torch::NoGradGuard no_grad;
    const auto ws = average_->broadcast(average_->map(latents_, labels_));
    return tile_grid(to_uint8(average_->synthesize(ws)).cpu(), kGridColumns);
  }

 private:
  void prune(const fs::path& folder) const {
    std::vector<fs::path> weights;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".safetensors") weights.push_back(entry.path());
    std::sort(weights.begin(), weights.end());
    for (size_t i = 0; i + static_cast<size_t>(keep_) < weights.size(); ++i) fs::remove(weights[i]);
  }

  int64_t keep_, every_ = 1;
  RunContext& context_;
  TrainingLoop& loop_;
  Generator average_;
  torch::Tensor latents_, labels_;
};

void feed(Meters& meters, const GanStepFigures& f) {
  meters.add("loss_g", f.loss_g);
  meters.add("loss_d", f.loss_d);
  if (f.ran_path) {
    meters.add("path_loss", f.path_loss);
    meters.add("path_length", f.path_length);
  }
  if (f.ran_r1) meters.add("r1_loss", f.r1_loss);
  meters.add("logit_real", f.logit_real);
  meters.add("logit_fake", f.logit_fake);
  meters.add("r_t", f.sign_real);
  meters.add("augment_p", f.augment_p);
  meters.add("gradient_norm_g", f.gradient_norm_g);
  meters.add("gradient_norm_d", f.gradient_norm_d);
  meters.add("non_finite", static_cast<double>(f.non_finite));
}

void write_real_grid(const ImageSet& images, const fs::path& file) {
  auto rows = images.indices(Split::train);
  const auto step = std::max<size_t>(rows.size() / kGridImages, 1);
  std::vector<int64_t> chosen;
  for (size_t i = 0; i < rows.size() && chosen.size() < kGridImages; i += step)
    chosen.push_back(rows[i]);
  write_png(file, tile_grid(images.read(chosen), kGridColumns));
}

struct Networks {
  Generator generator, average;
  Discriminator discriminator;
};

// The tensors that stay random.
template <class Network>
std::vector<std::string> start_from(const std::string& file, Network& network, const char* which) {
  if (file.empty()) return {};
  const auto left = load_fitting(*network, read_safetensors(file), file);
  if (left.empty()) return left;
  log::warn(
      "{}: {} tensors of {} are not there or of another shape ({}, ...): they start at random",
      file, left.size(), which, left.front());
  return left;
}

void check_frozen(const GanConfig& config, const DiscriminatorImpl& discriminator,
                  const std::vector<std::string>& random) {
  const auto names = discriminator.named_parameters();
  for (size_t i = 0; i < parameters_of_layers(discriminator, config.freeze_d); ++i)
    validate(
        std::ranges::find(random, names[i].key()) == random.end(), config.init_discriminator,
        ": has no ", names[i].key(), " that fits (and gan.freeze_d = ", config.freeze_d,
        " would keep it random); set gan.freeze_d to 0, or give weights of this resolution and "
        "number of channels");
}

Networks make_networks(const GanConfig& config, const GeneratorOptions& options,
                       const RunContext& context) {
  Networks made{Generator(options), Generator(options),
                Discriminator(discriminator_options(config, options))};
  initialize(made.generator, context.seed);
  initialize(made.discriminator, context.seed);
  for (torch::nn::Module* network : {static_cast<torch::nn::Module*>(made.generator.get()),
                                     static_cast<torch::nn::Module*>(made.average.get()),
                                     static_cast<torch::nn::Module*>(made.discriminator.get())})
    network->to(context.device, context.dtype);
  start_from(config.init_generator, made.generator, "G");
  check_frozen(config, *made.discriminator,
               start_from(config.init_discriminator, made.discriminator, "D"));
  const torch::NoGradGuard no_grad;
  const auto from = state_of(*made.generator);
  auto to = state_of(*made.average);
  for (size_t i = 0; i < from.size(); ++i) to[i].second.copy_(from[i].second);
  return made;
}

}  // namespace

nlohmann::json run_gan(const GanConfig& config, RunContext& context) {
  const auto images_file = context.images_file();
  const ImageSet images(images_file, Access::training);
  config.check();
  check_images(images, images_file);
  config.augment.check(images.channels(), images.height(), images.width());
  checked_half_type("gan.half_precision", config.half_precision, context);
  const auto classes = static_cast<int64_t>(images.label_names().size());
  const auto g_options = generator_options(config, images.height(), images.channels(),
                                           config.conditional ? classes : 0);

  Networks networks = make_networks(config, g_options, context);
  Generator& average = networks.average;
  Discriminator& discriminator = networks.discriminator;
  RealImages reals(images, config, context.seed, context.options());
  KeyedGanDraws draws(context.seed, g_options, config.style_mixing, config.noise == "random",
                      context.options());
  KeyedAugmentSource augmentation(context.seed);
  GanTrainer trainer(config, networks.generator, discriminator, average, context.world, draws,
                     augmentation, context.reduction);
  const auto label_pool = config.conditional ? reals.label_pool() : torch::Tensor();
  trainer.set_label_pool(label_pool);

  const int64_t total_steps = gan_steps(config);
  TrainingLoop loop(context, "gan", config.checkpoint, total_steps, config.batch, config.log_every);
  loop.add("gan", trainer.tensors());
  loop.add("path_length_mean", trainer.path_length_mean());
  const auto ada = trainer.ada().state();
  loop.add("ada.p", ada.p);
  loop.add("ada.sum", ada.sum);
  loop.add("ada.count", ada.count);
  loop.add("ada.rt", ada.rt);
  loop.add("g.reducer", trainer.generator_reducer());
  loop.add("d.reducer", trainer.discriminator_reducer());
  Meters meters({"loss_g", "loss_d", "path_loss", "path_length", "r1_loss", "logit_real",
                 "logit_fake", "r_t", "augment_p", "gradient_norm_g", "gradient_norm_d",
                 "non_finite"});
  meters.register_with(loop);
  int64_t non_finite = 0;
  loop.add("non_finite_total", non_finite);
  GanRecovery recovery(config.sentinel, config.kimg, config.batch, context, loop, trainer, draws);
  Snapshots snapshots(config, context, loop, average, total_steps, label_pool);
  GanQuality quality(config.metrics, config.batch, total_steps, context, images, average, loop);

  recovery.keep(quality.best_value());
  recovery.keep(quality.best_step());

  const auto local = trainer.local_samples();
  double waited = 0;
  const auto loader_from = [&](int64_t step) {
    return std::make_unique<Prefetcher<RealImages::Read>>(
        step, total_steps, [&](int64_t at) { return reals.read(at, config.batch, local); },
        images.reads_past_hdf5());
  };
  const int64_t first = recovery.start();
  auto loader = loader_from(first);
  for (int64_t step = first; step < total_steps; ++step) {
    const auto figures = trainer.step(step, reals.batch(loader->take(step)));
    if (const auto back_to = recovery.after(step, figures)) {
      waited += loader->wait_seconds();
      loader.reset();  // one at a time
      loader = loader_from(*back_to);
      step = *back_to - 1;
      continue;
    }
    feed(meters, figures);
    non_finite += figures.non_finite;
    snapshots.after(step + 1);
    quality.after(step + 1);
    loop.end_step(step, [&] { return meters.take(); });
  }
  loop.finish();
  recovery.finish();

  const auto folder = context.out_dir;
  on_root(context.world, [&] {
    save_generator((folder / fs::path(artifacts::generator).filename()).string(), average);
    save_discriminator((folder / fs::path(artifacts::discriminator).filename()).string(),
                       discriminator);
    write_png(folder / fs::path(artifacts::sample_grid).filename(), snapshots.draw_grid());
    write_real_grid(images, folder / fs::path(artifacts::real_grid).filename());
  });
  nlohmann::json metrics{{"steps", total_steps},
                         {"images", total_steps * config.batch},
                         {"training_images", reals.size()},
                         {"generator_parameters", trainer.generator_parameters().size()},
                         {"discriminator_parameters", trainer.discriminator_parameters().size()},
                         {"non_finite_gradients", non_finite},
                         {"step_backs", recovery.step_backs()},
                         {"loader_wait_seconds", waited + loader->wait_seconds()}};
  metrics.update(loop.costs());
  metrics.update(quality.metrics());
  // Again the means of the last line, also where a run went on from a checkpoint of the last step.
  for (const auto& [name, value] : meters.take()) metrics[name] = value;
  return metrics;
}

}  // namespace stylescope
