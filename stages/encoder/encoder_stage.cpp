#include "stages/encoder/encoder_stage.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/artifacts.hpp"
#include "stages/encoder/encoder_measures.hpp"
#include "stages/latent/batches.hpp"
#include "stages/supervised/resnet_trainer.hpp"
#include "stages/training/meters.hpp"
#include "stages/training/prefetch.hpp"
#include "stages/training/sampler.hpp"

#include <cmath>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// The pairs as the stage uses them: the first ones to train, the last ones held out.
struct Pairs {
  PairSet set;
  torch::Tensor w;  // (N, w_dim) CPU
  int64_t train = 0;
  IndexRange held_out() const { return {train, set.size()}; }
};

Pairs open_pairs(const EncoderConfig& config, const fs::path& file, Communicator& world) {
  // The shards' checksums once, not by every rank.
  on_root(world, [&] { PairSet(file, true); });
  Pairs pairs{PairSet(file, false), {}, 0};
  pairs.w = pairs.set.w();
  const auto n = pairs.set.size();
  pairs.train = n - std::llround(config.held_out * static_cast<double>(n));
  validate(pairs.train >= 2 && n - pairs.train >= 2, file.string(), ": ", n, " pairs leave ",
           pairs.train, " to train and ", n - pairs.train,
           " to measure (two of each are the least); raise synthesize.samples");
  return pairs;
}

void check_fit(const Pairs& pairs, const fs::path& pairs_file, Generator& generator,
               const ImageSet& images) {
  const auto& g = generator->options();
  validate(pairs.set.w_dim() == g.w_dim && pairs.set.resolution() == g.resolution &&
               pairs.set.channels() == g.image_channels,
           pairs_file.string(), ": its w (", pairs.set.w_dim(), ") or images (",
           pairs.set.channels(), "x", pairs.set.resolution(), "x", pairs.set.resolution(),
           ") are not those of the generator (w ", g.w_dim, ", images ", g.image_channels, "x",
           g.resolution, "x", g.resolution, "); run the synthesize stage again");
  validate(images.channels() == g.image_channels && images.height() == g.resolution &&
               images.width() == g.resolution,
           "the generator makes images of ", g.image_channels, "x", g.resolution, "x", g.resolution,
           ", but those of ingest are ", images.channels(), "x", images.height(), "x",
           images.width(), "; run the gan stage again");
}

// Mean and deviation of the training w's; dimensions that do not vary keep the scale 1.
void standardise(Encoder& encoder, const Pairs& pairs, bool on,
                 const torch::TensorOptions& options) {
  const auto w = pairs.w.slice(0, 0, pairs.train).to(torch::kFloat64);
  auto mean = torch::zeros({w.size(1)}, torch::kFloat64), scale = torch::ones_like(mean);
  if (on) {
    mean = w.mean(0);
    const auto deviation = w.std(0);
    scale = torch::where(deviation > 0, deviation, scale);
  }
  encoder.w_mean = mean.to(options);
  encoder.w_scale = scale.to(options);
}

// Shows the training pairs to the network, step by step.
class Lesson {
 public:
  Lesson(const EncoderConfig& config, RunContext& context, const Pairs& pairs,
         const Encoder& encoder, ResNetTrainer& trainer)
      : config_(config),
        context_(context),
        pairs_(pairs),
        encoder_(encoder),
        trainer_(trainer),
        sampler_(context.seed, "encoder.pairs", pairs.train) {}

  // What a step shows, as it is read: on one thread at a time.
  struct Read {
    torch::Tensor pixels;
    std::vector<int64_t> rows;
  };
  Read read(int64_t step) {
    Read result;
    for (const auto position : indices_of(trainer_.local_samples()))
      result.rows.push_back(sampler_.index(step * config_.batch + position));
    if (!result.rows.empty())
      result.pixels = staged_for(context_.device, pairs_.set.read_images(result.rows));
    return result;
  }

  StepFigures step(int64_t step, const Read& read, double learning_rate) {
    torch::Tensor inputs, targets;
    if (read.pixels.defined()) {
      const auto positions = indices_of(trainer_.local_samples());
      inputs = encoder_.prepare(augment(to_device(read.pixels, context_.device), config_.augment,
                                        {context_.seed, "encoder.augment", step}, positions,
                                        context_.options()));
      const auto w =
          pairs_.w.index_select(0, torch::tensor(read.rows, torch::kInt64)).to(context_.options());
      targets = (w - encoder_.w_mean) / encoder_.w_scale;
    }
    return trainer_.step(inputs, learning_rate, [&](const torch::Tensor& outputs, IndexRange rows) {
      const auto error = outputs - targets.slice(0, rows.begin, rows.end);
      return GroupLoss{error.square().mean(1).sum(),
                       torch::full({}, static_cast<double>(rows.size()), torch::kFloat64),
                       {}};
    });
  }

 private:
  const EncoderConfig& config_;
  RunContext& context_;
  const Pairs& pairs_;
  const Encoder& encoder_;
  ResNetTrainer& trainer_;
  EpochSampler sampler_;
};

nlohmann::json train(const EncoderConfig& config, RunContext& context, const Pairs& pairs,
                     Encoder& encoder) {
  ResNetTrainer trainer(
      encoder.network, context.world, config.batch, config.bn_group,
      [&](const FlatParameters& p) { return config.make_optimizer(p); }, context.reduction);
  const auto total_steps = config.total_steps(pairs.train);
  const auto schedule = config.schedule_over(total_steps);
  Lesson lesson(config, context, pairs, encoder, trainer);
  Meters meters({"loss", "learning_rate", "non_finite"});
  TrainingLoop loop(context, "encoder", config.checkpoint, total_steps, config.batch,
                    config.log_every);
  trainer.register_with(loop);
  meters.register_with(loop);

  const int64_t first = loop.start();
  Prefetcher<Lesson::Read> loader(
      first, total_steps, [&](int64_t step) { return lesson.read(step); },
      pairs.set.reads_past_hdf5());
  for (int64_t step = first; step < total_steps; ++step) {
    const auto rate = schedule.learning_rate(step);
    const auto figures = lesson.step(step, loader.take(step), rate);
    meters.add("loss", figures.loss);
    meters.add("learning_rate", rate);
    meters.add("non_finite", static_cast<double>(figures.non_finite));
    if (config.ends_epoch(step, pairs.train)) {
      const auto r2 =
          determination(encoder, pairs.set, pairs.w, pairs.held_out(), config.batch, context.world);
      loop.log(step, {{"r2", r2.pooled}});
    }
    loop.end_step(step, [&] { return meters.take(); });
  }
  loop.finish();
  nlohmann::json metrics{{"steps", total_steps},
                         {"training_pairs", pairs.train},
                         {"held_out_pairs", pairs.held_out().size()},
                         {"loader_wait_seconds", loader.wait_seconds()},
                         {"parameters", trainer.parameters().size()}};
  metrics.update(loop.costs());
  for (const auto& [name, value] : meters.take())
    if (name == "loss") metrics["train_loss"] = value;
  return metrics;
}

void measure(Encoder& encoder, Generator& generator, const Pairs& pairs, const ImageSet& images,
             int64_t batch, Communicator& world, nlohmann::json& metrics) {
  const auto r2 = determination(encoder, pairs.set, pairs.w, pairs.held_out(), batch, world);
  metrics["r2"] = r2.pooled;
  metrics["r2_dimension_mean"] = r2.mean;
  metrics["r2_dimension_median"] = r2.median;
  const auto validation = static_cast<int64_t>(images.indices(Split::val).size());
  metrics["validation_images"] = validation;
  if (validation == 0) {
    log::warn(
        "encoder: there are no validation images, so the reconstruction error of real images stays "
        "unknown");
    return;
  }
  const auto error = reconstruction(encoder, generator, images, batch, world);
  metrics["reconstruction_mae"] = error.encoded.absolute;
  metrics["reconstruction_mse"] = error.encoded.square;
  metrics["mean_image_mae"] = error.baseline.absolute;
  metrics["mean_image_mse"] = error.baseline.square;
}

}  // namespace

void EncoderConfig::describe(Fields& f) {
  describe_shared(f);
  f.field("standardize", standardize,
          "learn w with each dimension's mean removed and its deviation divided out");
  f.field("held_out", held_out, {0.001, 0.9},
          "share of the pairs, the last ones, kept from training to measure R2");
}

void EncoderConfig::check() const { check_shared("encoder"); }

nlohmann::json run_encoder(const EncoderConfig& config, RunContext& context) {
  config.check();
  const auto pairs_file = context.run_dir / artifacts::pairs;
  const auto pairs = open_pairs(config, pairs_file, context.world);
  const ImageSet images(context.images_file(), Access::training);
  auto generator = load_generator((context.run_dir / artifacts::generator).string(), context.device,
                                  context.dtype);
  check_fit(pairs, pairs_file, generator, images);

  Encoder encoder;
  encoder.resolution = pairs.set.resolution();
  encoder.network = config.make_network(pairs.set.channels(), pairs.set.w_dim(), context);
  standardise(encoder, pairs, config.standardize, context.options());

  auto metrics = train(config, context, pairs, encoder);
  measure(encoder, generator, pairs, images, config.batch, context.world, metrics);
  on_root(context.world, [&] {
    save_encoder((context.out_dir / fs::path(artifacts::encoder).filename()).string(), encoder);
  });
  return metrics;
}

}  // namespace stylescope
