#include "stages/classifier/classifier_stage.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/artifacts.hpp"
#include "stages/classifier/black_box_trial.hpp"
#include "stages/classifier/classifier_data.hpp"
#include "stages/latent/batches.hpp"
#include "stages/metrics/ranking.hpp"
#include "stages/networks/classifier.hpp"
#include "stages/supervised/image_statistics.hpp"
#include "stages/supervised/resnet_trainer.hpp"
#include "stages/training/meters.hpp"
#include "stages/training/prefetch.hpp"
#include "stages/training/sampler.hpp"

#include <algorithm>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct Validation {
  double auc = 0;  // of the pooled score
  double accuracy = 0;
  double loss = 0;
};

// Every rank scores its share; all of them then see all probabilities, in the order of the images.
Validation validate_on(const ImageSet& images, const LabelledRows& val, Classifier& f,
                       int64_t batch, Communicator& world) {
  const auto classes = static_cast<int64_t>(f.class_names.size());
  const auto mine = whole_batches(val.size(), batch, world.rank(), world.size());
  std::vector<torch::Tensor> parts{torch::empty({0, classes}, torch::kFloat64)};
  const at::ArrayRef<int64_t> rows(val.rows);
  for (int64_t begin = mine.begin; begin < mine.end; begin += batch) {
    const auto count = std::min(batch, mine.end - begin);
    parts.push_back(f.probabilities(
        images.read(rows.slice(static_cast<size_t>(begin), static_cast<size_t>(count))), batch));
  }
  const auto probabilities = gather_rows(world, torch::cat(parts));
  validate(probabilities.isfinite().all().item<bool>(),
           "classifier: its probabilities on the validation images are no finite numbers (training "
           "diverged); lower "
           "classifier.learning_rate");
  const auto of_label = probabilities.gather(1, val.labels.unsqueeze(1));
  Validation result;
  result.auc = auc(pooled_labels(val.labels, f.positive), f.pool(probabilities));
  result.accuracy =
      probabilities.argmax(1).eq(val.labels).to(torch::kFloat64).mean().item<double>();
  result.loss = -of_label.clamp_min(1e-300).log().mean().item<double>();
  return result;
}

// The best validation so far, with its weights, and how long ago it was.
class BestEpoch {
 public:
  explicit BestEpoch(ResNetTrainer& trainer) : weights_(trainer) {}

  void register_with(TrainingLoop& loop) {
    weights_.register_with(loop);
    loop.add("best.auc", validation_.auc);
    loop.add("best.accuracy", validation_.accuracy);
    loop.add("best.loss", validation_.loss);
    loop.add("best.epoch", epoch_);
    loop.add("best.epochs_done", epochs_done_);
    loop.add("best.last_gain", last_gain_);
  }
  // Of equal AUCs (small validation sets saturate) the lower loss wins, but it buys no patience.
  void offer(const Validation& now) {
    ++epochs_done_;
    const bool better = epoch_ == 0 || now.auc > validation_.auc ||
                        (now.auc == validation_.auc && now.loss < validation_.loss);
    if (!better) return;
    if (epoch_ == 0 || now.auc > validation_.auc) last_gain_ = epochs_done_;
    validation_ = now;
    epoch_ = epochs_done_;
    weights_.keep();
  }
  bool exhausted(int64_t patience) const {
    return patience > 0 && epochs_done_ - last_gain_ >= patience;
  }
  void restore() { weights_.restore(); }
  const Validation& validation() const { return validation_; }
  int64_t epoch() const { return epoch_; }
  int64_t epochs_done() const { return epochs_done_; }

 private:
  KeptWeights weights_;
  Validation validation_;
  int64_t epoch_ = 0, epochs_done_ = 0, last_gain_ = 0;  // counted from 1
};

// Shows the training split to the network, step by step.
class Lesson {
 public:
  Lesson(const ClassifierConfig& config, RunContext& context, const ImageSet& images,
         const LabelledRows& train, const Classifier& f, ResNetTrainer& trainer)
      : config_(config),
        context_(context),
        images_(images),
        train_(train),
        f_(f),
        trainer_(trainer),
        sampler_(context.seed, "classifier.images", train.size()),
        weights_(class_weights(config, train.labels, static_cast<int64_t>(f.class_names.size()))
                     .to(context.options())) {}

  // What a step shows, as it is read: on one thread at a time.
  struct Read {
    torch::Tensor pixels;
    std::vector<int64_t> labels;
  };
  Read read(int64_t step) {
    Read result;
    std::vector<int64_t> rows;
    for (const auto position : indices_of(trainer_.local_samples())) {
      const auto image = sampler_.index(step * config_.batch + position);
      rows.push_back(train_.rows[static_cast<size_t>(image)]);
      result.labels.push_back(train_.labels.const_data_ptr<int64_t>()[image]);
    }
    if (!rows.empty()) result.pixels = staged_for(context_.device, images_.read(rows));
    return result;
  }

  StepFigures step(int64_t step, const Read& read, double learning_rate) {
    torch::Tensor inputs, labels;
    if (read.pixels.defined()) {
      const auto positions = indices_of(trainer_.local_samples());
      inputs = f_.prepare(augment(to_device(read.pixels, context_.device), config_.augment,
                                  {context_.seed, "classifier.augment", step}, positions,
                                  context_.options()));
      labels = torch::tensor(read.labels, torch::kInt64).to(context_.device);
    }
    return trainer_.step(inputs, learning_rate, [&](const torch::Tensor& outputs, IndexRange rows) {
      const auto truth = labels.slice(0, rows.begin, rows.end);
      const auto weight = weights_.index_select(0, truth);
      const auto log_probability = outputs.log_softmax(1).gather(1, truth.unsqueeze(1)).squeeze(1);
      return GroupLoss{-(weight * log_probability).sum(), weight.sum(),
                       outputs.detach().argmax(1).eq(truth).sum()};
    });
  }

 private:
  const ClassifierConfig& config_;
  RunContext& context_;
  const ImageSet& images_;
  const LabelledRows& train_;
  const Classifier& f_;
  ResNetTrainer& trainer_;
  EpochSampler sampler_;
  torch::Tensor weights_;
};

nlohmann::json train(const ClassifierConfig& config, RunContext& context, const ImageSet& images,
                     const LabelledRows& train, const LabelledRows& val, Classifier& f) {
  ResNetTrainer trainer(
      f.network, context.world, config.batch, config.bn_group,
      [&](const FlatParameters& p) { return config.make_optimizer(p); }, context.reduction);
  const auto total_steps = config.total_steps(train.size());
  const auto schedule = config.schedule_over(total_steps);
  Lesson lesson(config, context, images, train, f, trainer);
  BestEpoch best(trainer);
  Meters meters({"loss", "accuracy", "learning_rate", "non_finite"});
  TrainingLoop loop(context, "classifier", config.checkpoint, total_steps, config.batch,
                    config.log_every);
  trainer.register_with(loop);
  best.register_with(loop);
  meters.register_with(loop);

  int64_t completed = loop.start();
  Prefetcher<Lesson::Read> loader(
      completed, total_steps, [&](int64_t step) { return lesson.read(step); },
      images.reads_past_hdf5());
  while (completed < total_steps && !best.exhausted(config.patience)) {
    const auto step = completed++;
    const auto rate = schedule.learning_rate(step);
    const auto figures = lesson.step(step, loader.take(step), rate);
    meters.add("loss", figures.loss);
    meters.add("accuracy", figures.accuracy);
    meters.add("learning_rate", rate);
    meters.add("non_finite", static_cast<double>(figures.non_finite));
    if (config.ends_epoch(step, train.size())) {
      const auto now = validate_on(images, val, f, config.batch, context.world);
      best.offer(now);
      loop.log(step,
               {{"val_auc", now.auc}, {"val_accuracy", now.accuracy}, {"val_loss", now.loss}});
    }
    loop.end_step(step, [&] { return meters.take(); });
  }
  loop.finish();
  if (completed < total_steps)
    log::info("classifier: stopped early after epoch {}, {} epochs after the last better AUC",
              best.epochs_done(), config.patience);
  if (best.epoch() > 0) best.restore();
  const auto& validation = best.validation();
  nlohmann::json metrics{{"val_auc", validation.auc},
                         {"val_accuracy", validation.accuracy},
                         {"val_loss", validation.loss},
                         {"best_epoch", best.epoch()},
                         {"epochs", best.epochs_done()},
                         {"steps", completed},
                         {"training_images", train.size()},
                         {"validation_images", val.size()},
                         {"loader_wait_seconds", loader.wait_seconds()},
                         {"parameters", trainer.parameters().size()}};
  metrics.update(loop.costs());
  for (const auto& [name, value] : meters.take())
    if (name == "loss" || name == "accuracy") metrics["train_" + name] = value;
  return metrics;
}

}  // namespace

nlohmann::json run_classifier(const ClassifierConfig& config, RunContext& context) {
  config.check();
  if (!config.black_box.trained_here()) return try_black_box(config, context);
  const auto images_file = context.images_file();
  const ImageSet images(images_file, Access::training);
  const auto training = labelled_rows(images, Split::train),
             val = labelled_rows(images, Split::val);

  Classifier f;
  f.class_names = images.label_names();
  f.positive = positive_classes(config, f.class_names);
  check_data(images, images_file, training, val, f.positive);
  const auto statistics = image_statistics(images, Split::train, context.world);
  f.mean = statistics.mean();
  f.stddev = statistics.stddev();
  f.resolution = images.height();
  f.network =
      config.make_network(images.channels(), static_cast<int64_t>(f.class_names.size()), context);

  auto metrics = train(config, context, images, training, val, f);
  on_root(context.world, [&] {
    save_classifier((context.out_dir / fs::path(artifacts::classifier).filename()).string(), f);
  });
  return metrics;
}

}  // namespace stylescope
