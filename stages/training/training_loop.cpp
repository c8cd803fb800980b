#include "stages/training/training_loop.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/artifacts.hpp"

#include <algorithm>

namespace stylescope {
namespace {

// Bit for bit: a mean may be NaN or infinite, which JSON could not carry.
template <class Number>
void broadcast(Communicator& world, Number& number) {
  auto value = torch::full({1}, number, torch::CppTypeToScalarType<Number>::value);
  world.broadcast(value, 0);
  number = value.template item<Number>();
}

}  // namespace

void CheckpointConfig::describe(Fields& f) {
  f.field("minutes", minutes, {0, 1e6},
          "a checkpoint at least this often, in minutes (0: not by time)");
  f.field("steps", steps, {0, 1'000'000'000}, "and every so many steps (0: not by steps)");
  f.field("keep", keep, {1, 1000},
          "how many checkpoints are kept; a damaged newest one falls back to the one before");
}

TrainingLoop::TrainingLoop(RunContext& context, const char* stage, const CheckpointConfig& config,
                           int64_t total_steps, int64_t images_per_step, int64_t log_every)
    : context_(context),
      stage_(stage),
      config_(config),
      total_steps_(total_steps),
      log_every_(log_every),
      directory_(context.out_dir / "checkpoints", config.keep),
      metrics_(context.world.is_root() ? MetricsLog(context.out_dir / artifacts::metrics_log)
                                       : MetricsLog()),
      events_(std::make_shared<TensorboardLog>(
          context.world.is_root() ? TensorboardLog(context.out_dir) : TensorboardLog())),
      // The lines that a checkpoint covers are on disk before it is.
      writer_(directory_,
              [log = metrics_, events = events_] {
                log.sync();
                events->sync();
              }),
      progress_(stage_, total_steps, images_per_step, "img", context.world.is_root(),
                context.progress_file),
      last_save_(std::chrono::steady_clock::now()) {}

void TrainingLoop::add(const std::string& name, torch::Tensor tensor) {
  tensors_.emplace_back(name, std::move(tensor));
}

void TrainingLoop::add(const std::string& prefix,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  for (const auto& [name, tensor] : tensors) add(prefix + "." + name, tensor);
}

void TrainingLoop::add(const std::string& name, int64_t& number) {
  integers_.emplace_back(name, &number);
}

void TrainingLoop::add(const std::string& name, double& number) {
  reals_.emplace_back(name, &number);
}

void TrainingLoop::add(const std::string& name, GradientReducer& reducer) {
  reducers_.emplace_back(name, &reducer);
}

void TrainingLoop::add_buffers(const std::string& prefix, torch::nn::Module& module) {
  for (const auto& buffer : module.named_buffers())
    add(prefix + "." + buffer.key(), buffer.value());
}

int64_t TrainingLoop::start() {
  context_.world.doing(stage_, 0);
  int64_t found = -1;
  on_root(context_.world, [&] {
    if (const auto before = read_state<CheckpointTimes>(context_.out_dir / kCheckpointTimesFile))
      times_.write_seconds = before->write_seconds;
    if (const auto newest = directory_.load_newest()) {
      load(*newest);
      found = newest->step;
      log::info("{}: goes on from the checkpoint of step {}", stage_, found);
    }
    cut_back(std::max<int64_t>(found, 0));
  });
  broadcast(context_.world, found);
  if (found >= 0) share();
  const int64_t step = std::max<int64_t>(found, 0);
  go_on_at(step);
  if (found < 0 && anchor_every_ > 0) save(0);
  return step;
}

void TrainingLoop::go_on_at(int64_t step) {
  context_.world.doing(stage_, step);
  progress_.starts_at(step);
  last_save_ = last_step_ = std::chrono::steady_clock::now();
}

void TrainingLoop::set_anchors(int64_t every, std::function<int64_t()> limit) {
  add("oldest_anchor", oldest_anchor_);
  anchor_every_ = every;
  anchor_limit_ = std::move(limit);
}

// The newest two of at most this step, newest first.
std::vector<int64_t> TrainingLoop::anchors(int64_t at_most) const {
  const int64_t newest = at_most / anchor_every_ * anchor_every_;
  if (newest == 0) return {0};
  return {newest, newest - anchor_every_};
}

// Whatever happens next, training may want to go back to one of these.
std::vector<int64_t> TrainingLoop::held_anchors(int64_t completed) const {
  if (anchor_every_ == 0) return {};
  auto held = anchors(completed);
  const auto limited = anchors(std::min(anchor_limit_(), completed));
  held.insert(held.end(), limited.begin(), limited.end());
  return held;
}

int64_t TrainingLoop::step_back(int64_t at_most, bool further) {
  finish();
  auto candidates = anchors(at_most);
  if (further && candidates.size() > 1) std::swap(candidates.front(), candidates.back());
  std::erase_if(candidates, [this](int64_t step) { return step < oldest_anchor_; });
  const int64_t oldest = oldest_anchor_;
  int64_t step = 0;
  on_root(context_.world, [&] {
    step = load_anchor(candidates);
    cut_back(step);
  });
  broadcast(context_.world, step);
  share();
  oldest_anchor_ = oldest;
  go_on_at(step);
  return step;
}

// The first of them that is whole.
int64_t TrainingLoop::load_anchor(const std::vector<int64_t>& candidates) {
  for (size_t i = 0; i < candidates.size(); ++i) try {
      load(directory_.load(candidates[i]));
      return candidates[i];
    } catch (const Error& problem) {
      if (i + 1 == candidates.size()) throw;
      log::warn("{}; stepping back to the checkpoint of step {} instead", problem.what(),
                candidates[i + 1]);
    }
  throw Error(detail::concatenate(directory_.path_of(oldest_anchor_).string(),
                                  ": is the oldest checkpoint to step back to, and the training "
                                  "diverged before; lower the learning rate and start anew"));
}

void TrainingLoop::cut_back(int64_t step) {
  metrics_.cut_back(step);
  events_->cut_back(step);
}

void TrainingLoop::load(const Checkpoint& checkpoint) {
  const torch::NoGradGuard no_grad;
  const auto fits = [&](bool ok, const std::string& what) {
    validate(ok, directory_.path_of(checkpoint.step).string(), ": does not fit this stage (", what,
             " is missing or of another shape); move the folder ", context_.out_dir.string(),
             " away to start anew");
  };
  for (auto& [name, tensor] : tensors_) {
    const auto found = std::find_if(checkpoint.tensors.begin(), checkpoint.tensors.end(),
                                    [&name = name](const auto& t) { return t.first == name; });
    fits(found != checkpoint.tensors.end() && found->second.sizes() == tensor.sizes(),
         "tensor '" + name + "'");
    tensor.copy_(found->second);
  }
  const auto numbers = [&](const auto& registered) {
    for (const auto& [name, number] : registered) {
      fits(checkpoint.numbers.contains(name), "number '" + name + "'");
      checkpoint.numbers.at(name).get_to(*number);
    }
  };
  numbers(integers_);
  numbers(reals_);
  for (const auto& [name, reducer] : reducers_)
    reducer->set_borders(checkpoint.numbers.value(
        name + ".borders", std::vector<int64_t>{0, reducer->borders().back()}));
}

// What the root has loaded, on every rank.
void TrainingLoop::share() {
  const torch::NoGradGuard no_grad;
  auto& world = context_.world;
  for (auto& [name, tensor] : tensors_) {
    auto whole = tensor.contiguous();
    world.broadcast(whole, 0);
    if (!whole.is_same(tensor)) tensor.copy_(whole);
  }
  for (auto& [name, number] : integers_) broadcast(world, *number);
  for (auto& [name, number] : reals_) broadcast(world, *number);
  for (auto& [name, reducer] : reducers_) {
    const nlohmann::json borders = reducer->borders();
    reducer->set_borders(nlohmann::json::parse(world.broadcast(borders.dump(), 0)));
  }
}

bool TrainingLoop::log_due(int64_t step) const {
  return (step + 1) % log_every_ == 0 || step + 1 == total_steps_;
}

void TrainingLoop::log(int64_t step, const Figures& figures) {
  nlohmann::ordered_json line{{"step", step}};
  for (const auto& [name, value] : figures) line[name] = value;
  metrics_.write(line);
  events_->write_scalars(step, figures);
}

void TrainingLoop::log_image(int64_t step, const std::string& tag, const torch::Tensor& pixels) {
  events_->write_image(step, tag, pixels);
}

void TrainingLoop::end_step(int64_t step, const std::function<Figures()>& figures) {
  const int64_t completed = step + 1;
  if (log_due(step)) {
    const auto due = figures();
    log(step, due);
    progress_.update(completed, due);
  } else {
    progress_.reached(completed);
  }
  // One small reduction carries all questions: has anyone been asked to stop, does the root's clock
  // say "save", and has a checkpoint of the root's failed?
  const std::chrono::duration<double, std::ratio<60>> since =
      std::chrono::steady_clock::now() - last_save_;
  const bool by_time =
      context_.world.is_root() && config_.minutes > 0 && since.count() >= config_.minutes;
  auto asked =
      torch::tensor({context_.stop.requested() || completed == context_.stop_after ? 1.0 : 0.0,
                     by_time ? 1.0 : 0.0, writer_.failed() ? 1.0 : 0.0},
                    torch::kFloat64);
  context_.world.all_reduce(asked, ReduceOp::max);
  note_step();
  if (asked[2].item<double>() > 0) finish();
  const bool stop = asked[0].item<double>() > 0 && completed < total_steps_;
  const auto every = [&](int64_t steps) { return steps > 0 && completed % steps == 0; };
  const bool by_steps = every(config_.steps) || every(anchor_every_);
  if (stop || by_steps || asked[1].item<double>() > 0) save(completed);
  context_.world.doing(stage_, completed);
  if (!stop) return;
  finish();
  throw Interrupted(
      detail::concatenate(stage_, ": stopped after step ", completed, " of ", total_steps_,
                          "; a checkpoint was written, run the same command again to go on"));
}

void TrainingLoop::save(int64_t completed) {
  const auto begin = std::chrono::steady_clock::now();
  // Of the older ones some may be gone from now on.
  if (anchor_every_ > 0)
    oldest_anchor_ = std::max(
        oldest_anchor_,
        std::min(anchors(completed).back(), anchors(std::min(anchor_limit_(), completed)).back()));
  if (context_.world.is_root()) {
    auto numbers = nlohmann::json::object();
    for (const auto& [name, number] : integers_) numbers[name] = *number;
    for (const auto& [name, number] : reals_) numbers[name] = *number;
    for (const auto& [name, reducer] : reducers_) numbers[name + ".borders"] = reducer->borders();
    const LongWork busy(context_.world);  // it may have to wait for the one before
    writer_.save(
        completed, tensors_, std::move(numbers),
        anchor_every_ > 0 ? anchors(std::min(anchor_limit_(), completed)) : std::vector<int64_t>{});
    ++checkpoints_;
  }
  last_save_ = std::chrono::steady_clock::now();
  stall_ += last_save_ - begin;
}

// Whoever asks for a stop just after one such moment waits until the next.
void TrainingLoop::note_step() {
  const auto now = std::chrono::steady_clock::now();
  times_.step_seconds =
      std::max(times_.step_seconds, std::chrono::duration<double>(now - last_step_).count());
  last_step_ = now;
  note_times();
}

void TrainingLoop::note_times() {
  if (!context_.world.is_root()) return;
  if (writer_.longest_seconds() > 0) times_.write_seconds = writer_.longest_seconds();
  if (times_.step_seconds == noted_.step_seconds && times_.write_seconds == noted_.write_seconds)
    return;
  noted_ = times_;
  write_state(context_.out_dir / kCheckpointTimesFile, times_);
}

nlohmann::json TrainingLoop::costs() const {
  ReductionFigures all;
  for (const auto& [name, reducer] : reducers_) {
    const auto figures = reducer->figures();
    all.transfer += figures.transfer;
    all.exposed += figures.exposed;
    all.bytes += figures.bytes;
  }
  nlohmann::json costs{{"images_per_second", rate()},
                       {"checkpoints", checkpoints_},
                       {"checkpoint_stall_seconds", checkpoint_stall_seconds()},
                       {"checkpoint_write_seconds", times_.write_seconds},
                       {"longest_step_seconds", times_.step_seconds},
                       {"reduction_gigabytes", all.bytes / 1e9}};
  // NCCL works beside the host, which does not see for how long.
  if (std::string(context_.world.backend()) != "nccl")
    costs.update({{"reduction_transfer_seconds", all.transfer},
                  {"reduction_exposed_seconds", all.exposed},
                  {"reduction_hidden", all.hidden()}});
  return costs;
}

void TrainingLoop::finish() {
  const auto begin = std::chrono::steady_clock::now();
  on_root(context_.world, [this] { writer_.wait(); });
  if (context_.world.is_root()) stall_ += std::chrono::steady_clock::now() - begin;
  note_times();
}

}  // namespace stylescope
