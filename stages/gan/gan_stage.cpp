#include "stages/gan/gan_stage.hpp"

#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "io/picture.hpp"
#include "stages/artifacts.hpp"
#include "stages/gan/gan_networks.hpp"
#include "stages/gan/gan_snapshots.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/training/meters.hpp"
#include "stages/training/sampler.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>

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

// The training split as the discriminator sees it: an endless, keyed shuffle; mirroring doubles the
// set.
class RealImages {
 public:
  RealImages(const ImageSet& images, const GanConfig& config, uint64_t seed,
             torch::TensorOptions options)
      : images_(images),
        rows_(images.indices(Split::train)),
        mirror_(config.mirror),
        conditional_(config.conditional),
        options_(options),
        sampler_(seed, "gan.reals", size() * (mirror_ ? 2 : 1)) {}

  int64_t size() const { return static_cast<int64_t>(rows_.size()); }

  // The samples `local` of the global batch of this step.
  RealBatch batch(int64_t step, int64_t batch_size, const std::vector<int64_t>& local) {
    std::vector<int64_t> rows;
    std::vector<int64_t> flipped;
    for (size_t i = 0; i < local.size(); ++i) {
      const int64_t position = sampler_.index(step * batch_size + local[i]);
      rows.push_back(rows_[static_cast<size_t>(position % size())]);
      if (position >= size()) flipped.push_back(static_cast<int64_t>(i));
    }
    RealBatch result;
    if (rows.empty()) return result;
    auto pixels = images_.read(rows);
    if (!flipped.empty()) {
      const auto index = torch::tensor(flipped, torch::kInt64);
      pixels.index_copy_(0, index, pixels.index_select(0, index).flip(3));
    }
    result.images = to_network(pixels, options_);
    if (conditional_) result.labels = one_hot(rows);
    return result;
  }

  torch::Tensor label_pool() const { return one_hot(rows_); }

 private:
  torch::Tensor one_hot(const std::vector<int64_t>& rows) const {
    auto labels = torch::zeros(
        {static_cast<int64_t>(rows.size()), static_cast<int64_t>(images_.label_names().size())});
    for (size_t i = 0; i < rows.size(); ++i)
      labels[static_cast<int64_t>(i)][images_.record(rows[i]).label] = 1;
    return labels.to(options_);
  }

  const ImageSet& images_;
  std::vector<int64_t> rows_;
  bool mirror_, conditional_;
  torch::TensorOptions options_;
  EpochSampler sampler_;
};

// Grids and generator snapshots on the way, always of the same latents.
class Snapshots {
 public:
  Snapshots(const GanConfig& config, RunContext& context, Generator average, int64_t total_steps,
            torch::Tensor label_pool)
      : keep_(config.snapshots_keep), context_(context), average_(std::move(average)) {
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
      write_grid(folder / (std::string(name) + ".png"));
      save_generator((folder / (std::string(name) + ".safetensors")).string(), average_);
      prune(folder);
    });
  }

  void write_grid(const fs::path& file) {
    torch::NoGradGuard no_grad;
    const auto ws = average_->broadcast(average_->map(latents_, labels_));
    write_png(file, tile_grid(to_uint8(average_->synthesize(ws)).cpu(), kGridColumns));
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

}  // namespace

nlohmann::json run_gan(const GanConfig& config, RunContext& context) {
  const auto images_file = context.images_file();
  const ImageSet images(images_file);
  config.check();
  check_images(images, images_file);
  const auto classes = static_cast<int64_t>(images.label_names().size());
  const auto g_options = generator_options(config, images.height(), images.channels(),
                                           config.conditional ? classes : 0);

  Generator generator(g_options), average(g_options);
  Discriminator discriminator(discriminator_options(config, g_options));
  initialize(generator, context.seed);
  initialize(average, context.seed);
  initialize(discriminator, context.seed);
  for (torch::nn::Module* network : {static_cast<torch::nn::Module*>(generator.get()),
                                     static_cast<torch::nn::Module*>(average.get()),
                                     static_cast<torch::nn::Module*>(discriminator.get())})
    network->to(context.device, context.dtype);

  RealImages reals(images, config, context.seed, context.options());
  KeyedGanDraws draws(context.seed, g_options, config.style_mixing, config.noise == "random",
                      context.options());
  GanTrainer trainer(config, generator, discriminator, average, context.world, draws,
                     context.reduction);
  const auto label_pool = config.conditional ? reals.label_pool() : torch::Tensor();
  trainer.set_label_pool(label_pool);

  const int64_t total_steps = gan_steps(config);
  TrainingLoop loop(context, "gan", config.checkpoint, total_steps, config.batch, config.log_every);
  loop.add("gan", trainer.tensors());
  loop.add("path_length_mean", trainer.path_length_mean());
  loop.add("g.reducer", trainer.generator_reducer());
  loop.add("d.reducer", trainer.discriminator_reducer());
  Meters meters({"loss_g", "loss_d", "path_loss", "path_length", "r1_loss", "logit_real",
                 "logit_fake", "r_t", "non_finite"});
  meters.register_with(loop);
  int64_t non_finite = 0;
  loop.add("non_finite_total", non_finite);
  Snapshots snapshots(config, context, average, total_steps, label_pool);

  for (int64_t step = loop.start(); step < total_steps; ++step) {
    const auto figures =
        trainer.step(step, reals.batch(step, config.batch, trainer.local_samples()));
    feed(meters, figures);
    non_finite += figures.non_finite;
    snapshots.after(step + 1);
    loop.end_step(step, [&] { return meters.take(); });
  }
  loop.finish();

  const auto folder = context.out_dir;
  on_root(context.world, [&] {
    save_generator((folder / fs::path(artifacts::generator).filename()).string(), average);
    save_discriminator((folder / fs::path(artifacts::discriminator).filename()).string(),
                       discriminator);
    snapshots.write_grid(folder / fs::path(artifacts::sample_grid).filename());
    write_real_grid(images, folder / fs::path(artifacts::real_grid).filename());
  });
  nlohmann::json metrics{{"steps", total_steps},
                         {"images", total_steps * config.batch},
                         {"training_images", reals.size()},
                         {"generator_parameters", trainer.generator_parameters().size()},
                         {"discriminator_parameters", trainer.discriminator_parameters().size()},
                         {"non_finite_gradients", non_finite}};
  metrics.update(loop.costs());
  // Again the means of the last line, also where a run went on from a checkpoint of the last step.
  for (const auto& [name, value] : meters.take()) metrics[name] = value;
  return metrics;
}

}  // namespace stylescope
