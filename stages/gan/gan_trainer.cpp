#include "stages/gan/gan_trainer.hpp"

#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"
#include "stages/gan/gan_losses.hpp"
#include "stages/gan/gan_networks.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// Rows of `sums_`: first the figures (one number each), then one row of w_dim numbers for each
// phase that generates.
enum Sum : int64_t {
  kLossG,
  kLossD,
  kPathPenalty,
  kR1Penalty,
  kLogitReal,
  kLogitFake,
  kSignReal,
  kSignR1,
  kNormG,
  kNormD,
  kFigures
};
constexpr int64_t kGeneratingPhases = 3;

// Lazy regularisation (Karras et al. 2020, appendix B): an optimizer that also takes the
// regulariser's steps, one in `interval`, runs with lr * r and betas ^ r, r = interval / (interval
// + 1).
double lazy_ratio(int64_t interval, bool active) {
  return active ? static_cast<double>(interval) / static_cast<double>(interval + 1) : 1.0;
}

constexpr double kBeta2 = 0.99;
constexpr double kEpsilon = 1e-8;

int64_t w_row(Phase phase) { return phase == Phase::g_main ? 0 : phase == Phase::g_path ? 1 : 2; }

}  // namespace

GanTrainer::GanTrainer(const GanConfig& config, Generator generator, Discriminator discriminator,
                       Generator average, Communicator& world, GanDraws& draws,
                       AugmentSource& augmentation, const ReducerOptions& reduction)
    : config_(config),
      generator_(std::move(generator)),
      average_(std::move(average)),
      discriminator_(std::move(discriminator)),
      world_(world),
      draws_(draws),
      augment_(config.augment.resolved(), augmentation, config.batch),
      ada_(config.augment_in_force(), config.batch),
      g_(*generator_),
      d_(*discriminator_),
      ema_(*average_, /*trained=*/false),
      g_reducer_(world, g_.parameters(), g_.gradients(), reduction),
      d_reducer_(world, d_.parameters(), d_.gradients(), reduction),
      g_adam_(
          g_, 0,
          std::pow(kBeta2, lazy_ratio(config.path_length_interval, config.path_length_weight > 0)),
          kEpsilon),
      d_adam_(d_, 0, std::pow(kBeta2, lazy_ratio(config.r1_interval, config.r1_gamma != 0)),
              kEpsilon),
      g_rate_(config.rate(generator_->options().resolution) *
              lazy_ratio(config.path_length_interval, config.path_length_weight > 0)),
      d_rate_(config.rate(generator_->options().resolution) *
              lazy_ratio(config.r1_interval, config.r1_gamma != 0)),
      rounds_(deal_rounds(config.batch, config.mbstd_group, config.batch_per_rank, world.rank(),
                          world.size())) {
  for (const auto& round : rounds_) samples_.insert(samples_.end(), round.begin(), round.end());
  d_.freeze(parameters_of_layers(*discriminator_, config.freeze_d));
  generator_->train();
  discriminator_->train();
  average_->eval();
  sums_ = torch::zeros({kFigures + kGeneratingPhases * generator_->options().w_dim},
                       torch::dtype(torch::kFloat64).device(g_.values().device()));
}

GanStepFigures GanTrainer::step(int64_t step, const RealBatch& reals) {
  GanStepFigures figures;
  sums_.zero_();
  w_counts_.assign(kGeneratingPhases, 0);
  non_finite_ = 0;

  d_.requires_grad(false);
  run_g_main(step);
  if (config_.path_length_weight > 0 && step % config_.path_length_interval == 0)
    run_g_path(step, figures);

  d_.requires_grad(true);
  g_.requires_grad(false);
  run_d_main(step, reals);
  figures.ran_r1 = config_.r1_gamma != 0 && step % config_.r1_interval == 0;
  if (figures.ran_r1) run_d_r1(step, reals);
  g_.requires_grad(true);

  finish(step, figures);
  update_average(step);
  return figures;
}

GanTrainer::Images GanTrainer::generate(int64_t step, Phase phase, const Samples& samples,
                                        bool ws_gradient) {
  Images result;
  if (label_pool_.defined())
    result.labels = label_pool_.index_select(
        0, draws_.label_rows(step, phase, samples, label_pool_.size(0)).to(label_pool_.device()));
  const auto w = generator_->map(draws_.latents(step, phase, samples), result.labels);
  result.w = w.detach();
  result.ws = generator_->broadcast(w);
  const int64_t cutoff = draws_.mixing_cutoff(step, phase);
  const int64_t num_ws = generator_->options().num_ws();
  if (cutoff < num_ws) {
    const auto other = generator_->broadcast(
        generator_->map(draws_.mixing_latents(step, phase, samples), result.labels));
    result.ws =
        torch::cat({result.ws.narrow(1, 0, cutoff), other.narrow(1, cutoff, num_ws - cutoff)}, 1);
  }
  if (ws_gradient && !result.ws.requires_grad()) result.ws.requires_grad_(true);
  result.images = generator_->synthesize(result.ws, draws_.layer_noise(step, phase, samples));
  return result;
}

void GanTrainer::count_w(Phase phase, const Images& fake) {
  const auto w_dim = generator_->options().w_dim;
  sums_.narrow(0, kFigures + w_row(phase) * w_dim, w_dim).add_(fake.w.sum(0));
}

RealBatch GanTrainer::part_of(const RealBatch& reals, size_t round) const {
  int64_t begin = 0;
  for (size_t i = 0; i < round; ++i) begin += static_cast<int64_t>(rounds_[i].size());
  const auto count = static_cast<int64_t>(rounds_[round].size());
  return {reals.images.narrow(0, begin, count),
          reals.labels.defined() ? reals.labels.narrow(0, begin, count) : reals.labels};
}

void GanTrainer::run_g_main(int64_t step) {
  g_.zero_gradients();
  g_reducer_.begin();
  w_counts_[w_row(Phase::g_main)] = config_.batch;
  for (size_t round = 0; round < rounds_.size(); ++round) {
    const auto fake = generate(step, Phase::g_main, rounds_[round], false);
    count_w(Phase::g_main, fake);
    const auto seen = augment_(fake.images, ada_.p(), step, "g_main.gen", rounds_[round]);
    const auto losses = generator_loss(discriminator_(seen, fake.labels));
    if (round + 1 == rounds_.size()) g_reducer_.arm();
    (losses.sum() / static_cast<double>(config_.batch)).backward();
    sums_[kLossG] += losses.detach().sum();
  }
  update(g_, g_reducer_, g_adam_, g_rate_);
  note_norm(kNormG, g_);
}

// No group binds these samples: they are dealt one by one.
std::vector<GanTrainer::Samples> GanTrainer::path_rounds(int64_t count) const {
  const auto mine = share_of(count, world_.rank(), world_.size());
  const int64_t limit = config_.batch_per_rank / config_.path_length_shrink;
  const int64_t at_a_time =
      config_.batch_per_rank > 0 ? std::max<int64_t>(limit, 1) : std::max<int64_t>(mine.size(), 1);
  std::vector<Samples> rounds;
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    if ((i - mine.begin) % at_a_time == 0) rounds.emplace_back();
    rounds.back().push_back(i);
  }
  return rounds;
}

torch::Tensor GanTrainer::lengths_of(int64_t step, const Samples& samples, bool first) {
  const auto fake = generate(step, Phase::g_path, samples, true);
  if (first) count_w(Phase::g_path, fake);
  return path_lengths(fake.images, fake.ws, draws_.path_noise(step, samples));
}

// `lengths` keeps its graph where there is one round. More of them would not fit in memory at a
// time: they are worked out here for the mean alone, which every sample's gradient depends on, and
// once more for the gradients.
double GanTrainer::mean_path_length(int64_t step, const std::vector<Samples>& rounds, int64_t count,
                                    torch::Tensor& lengths) {
  double sum = 0;
  for (const auto& samples : rounds) {
    lengths.reset();  // and its graph
    lengths = lengths_of(step, samples, true);
    sum += lengths.detach().to(torch::kFloat64).sum().item<double>();
  }
  return world_.all_reduce(sum) / static_cast<double>(count);
}

void GanTrainer::run_g_path(int64_t step, GanStepFigures& figures) {
  g_.zero_gradients();
  g_reducer_.begin();
  const int64_t count = std::max<int64_t>(config_.batch / config_.path_length_shrink, 1);
  w_counts_[w_row(Phase::g_path)] = count;
  const auto rounds = path_rounds(count);
  torch::Tensor lengths;
  const double mean = mean_path_length(step, rounds, count, lengths);
  path_length_mean_ = updated_path_mean(path_length_mean_, mean, config_.path_length_decay);
  const double gain =
      config_.path_length_weight * static_cast<double>(config_.path_length_interval);
  for (size_t round = 0; round < rounds.size(); ++round) {
    if (rounds.size() > 1) {
      lengths.reset();
      lengths = lengths_of(step, rounds[round], false);
    }
    const auto penalty =
        path_penalty(lengths, mean, count, path_length_mean_, config_.path_length_decay);
    if (round + 1 == rounds.size()) g_reducer_.arm();
    (lengths * penalty.weights).sum().mul(gain).backward();
    sums_[kPathPenalty] += penalty.penalties.sum();
  }
  update(g_, g_reducer_, g_adam_, g_rate_);
  figures.ran_path = true;
  figures.path_length = mean;
}

void GanTrainer::run_d_main(int64_t step, const RealBatch& reals) {
  d_.zero_gradients();
  d_reducer_.begin();
  const auto batch = static_cast<double>(config_.batch);
  w_counts_[w_row(Phase::d_main)] = config_.batch;
  for (size_t round = 0; round < rounds_.size(); ++round) {
    Images fake;
    {
      torch::NoGradGuard no_grad;
      fake = generate(step, Phase::d_main, rounds_[round], false);
      fake.images = augment_(fake.images, ada_.p(), step, "d_main.gen", rounds_[round]);
    }
    count_w(Phase::d_main, fake);
    // Two passes, fake first: a minibatch-stddev group never mixes real and generated images.
    const auto fake_logits = discriminator_(fake.images, fake.labels);
    const auto fake_losses = discriminator_loss_fake(fake_logits);
    (fake_losses.sum() / batch).backward();
    const auto real = part_of(reals, round);
    const auto seen = augment_(real.images, ada_.p(), step, "d_main.real", rounds_[round]);
    const auto real_logits = discriminator_(seen, real.labels);
    const auto real_losses = discriminator_loss_real(real_logits);
    if (round + 1 == rounds_.size()) d_reducer_.arm();
    (real_losses.sum() / batch).backward();
    sums_[kLossD] += (fake_losses.sum() + real_losses.sum()).detach();
    sums_[kLogitFake] += fake_logits.detach().sum();
    sums_[kLogitReal] += real_logits.detach().sum();
    sums_[kSignReal] += real_logits.detach().sign().sum();
  }
  update(d_, d_reducer_, d_adam_, d_rate_);
  note_norm(kNormD, d_);
}

// The penalty is on the derivative by the images before they are augmented.
void GanTrainer::run_d_r1(int64_t step, const RealBatch& reals) {
  d_.zero_gradients();
  d_reducer_.begin();
  const double gain = config_.gamma(generator_->options().resolution) / 2 *
                      static_cast<double>(config_.r1_interval);
  for (size_t round = 0; round < rounds_.size(); ++round) {
    const auto real = part_of(reals, round);
    const auto images = real.images.detach().requires_grad_(true);
    const auto seen = augment_(images, ada_.p(), step, "d_r1.real", rounds_[round]);
    const auto logits = discriminator_(seen, real.labels);
    const auto penalties = r1_penalty(logits, images);
    sums_[kSignR1] += logits.detach().sign().sum();
    if (round + 1 == rounds_.size()) d_reducer_.arm();
    (penalties.sum() * (gain / static_cast<double>(config_.batch))).backward();
    sums_[kR1Penalty] += penalties.detach().sum();
  }
  update(d_, d_reducer_, d_adam_, d_rate_);
}

void GanTrainer::update(FlatParameters& parameters, GradientReducer& reducer, Adam& adam,
                        double learning_rate) {
  reducer.finish();
  non_finite_ += sanitize_gradients(parameters.gradients());
  adam.step(parameters, learning_rate * rate_factor_);
}

// The root's: all ranks must come to the same conclusions from it, to the bit.
void GanTrainer::note_norm(int64_t sum, const FlatParameters& parameters) {
  if (world_.is_root()) sums_[sum] += parameters.gradients().norm();
}

void GanTrainer::update_average(int64_t step) {
  torch::NoGradGuard no_grad;
  double images = config_.ema_images();
  if (config_.ramp() > 0)
    images = std::min(images, static_cast<double>(step * config_.batch) * config_.ramp());
  const double beta = std::pow(0.5, static_cast<double>(config_.batch) / std::max(images, 1e-8));
  ema_.values().lerp_(g_.values(), 1 - beta);
  // Of the buffers only this one changes: filters and constant noise are the same in both from the
  // start.
  average_->w_avg().copy_(generator_->w_avg());
}

void GanTrainer::finish(int64_t step, GanStepFigures& figures) {
  torch::NoGradGuard no_grad;
  world_.all_reduce(sums_);
  const auto w_dim = generator_->options().w_dim;
  auto w_avg = generator_->w_avg();
  // In the order in which the phases ran. The average is of the whole global batch, not of one
  // rank's share.
  for (int64_t row = 0; row < kGeneratingPhases; ++row) {
    if (w_counts_[static_cast<size_t>(row)] == 0) continue;
    const auto mean = (sums_.narrow(0, kFigures + row * w_dim, w_dim) /
                       static_cast<double>(w_counts_[static_cast<size_t>(row)]))
                          .to(w_avg.dtype());
    w_avg.copy_(mean + config_.w_avg_beta * (w_avg - mean));
  }
  const auto sums = sums_.narrow(0, 0, kFigures).cpu();
  const auto* s = sums.data_ptr<double>();
  const auto batch = static_cast<double>(config_.batch);
  figures.loss_g = s[kLossG] / batch;
  figures.loss_d = s[kLossD] / batch;
  figures.path_loss = config_.path_length_weight * s[kPathPenalty] /
                      static_cast<double>(std::max<int64_t>(w_counts_[1], 1));
  figures.r1_loss = config_.gamma(generator_->options().resolution) / 2 * s[kR1Penalty] / batch;
  figures.logit_real = s[kLogitReal] / batch;
  figures.logit_fake = s[kLogitFake] / batch;
  figures.sign_real = s[kSignReal] / batch;
  figures.non_finite = non_finite_;
  figures.gradient_norm_g = s[kNormG];
  figures.gradient_norm_d = s[kNormD];
  figures.augment_p = ada_.p();
  ada_.observe(s[kSignReal], batch);
  if (figures.ran_r1) ada_.observe(s[kSignR1], batch);
  ada_.end_step(step);
}

std::vector<std::pair<std::string, torch::Tensor>> GanTrainer::tensors() {
  std::vector<std::pair<std::string, torch::Tensor>> all{{"g.parameters", g_.values()},
                                                         {"d.parameters", d_.values()},
                                                         {"ema.parameters", ema_.values()}};
  for (auto& [name, tensor] : g_adam_.state()) all.emplace_back("g." + name, tensor);
  for (auto& [name, tensor] : d_adam_.state()) all.emplace_back("d." + name, tensor);
  for (const auto& buffer : generator_->named_buffers())
    all.emplace_back("g.buffer." + buffer.key(), buffer.value());
  for (const auto& buffer : average_->named_buffers())
    all.emplace_back("ema.buffer." + buffer.key(), buffer.value());
  return all;
}

}  // namespace stylescope
