// Checkpoints beside the training, stopping and going on, on any number of ranks.
#include "io/base/error.hpp"
#include "stages/training/training_loop.hpp"
#include "tests/io/faults.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <csignal>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing_support::SharedRun;
using testing_support::world;

constexpr int64_t kSteps = 12;

// A stage that counts: its weights are a sum over steps, its gradients in two buckets.
class Counter {
 public:
  Counter(Communicator& ranks, const fs::path& dir, double bucket_mb = 1e-6)
      : context_{ranks, torch::kCPU, torch::kFloat64, 5, dir, dir / "out", stop_} {
    context_.reduction.bucket_mb = bucket_mb;
    if (ranks.is_root()) fs::create_directories(context_.out_dir);
    ranks.barrier();
    int64_t offset = 0;
    for (const int64_t n : {3, 4}) {
      parameters_.push_back(torch::zeros({n}, torch::kFloat64).requires_grad_(true));
      parameters_.back().mutable_grad() = gradients_.narrow(0, offset, n);
      offset += n;
    }
    reducer_ =
        std::make_unique<GradientReducer>(ranks, parameters_, gradients_, context_.reduction);
  }

  // Runs to the end, or throws.
  void run(const CheckpointConfig& config) {
    TrainingLoop loop(context_, "count", config, kSteps, 1, 1);
    loop.add("weights", weights_);
    loop.add("seen", seen_);
    if (with_reducer) loop.add("reducer", *reducer_);
    first = loop.start();
    borders = reducer_->borders();
    for (int64_t step = first; step < kSteps; ++step) {
      weights_ += static_cast<double>(step);
      ++seen_;
      if (in_step) in_step(step);
      loop.end_step(step, [&] { return Figures{{"seen", static_cast<double>(seen_)}}; });
    }
    loop.finish();
    checkpoints = loop.checkpoints();
    stall = loop.checkpoint_stall_seconds();
    costs = loop.costs();
  }

  RunContext& context() { return context_; }
  const torch::Tensor& weights() const { return weights_; }
  fs::path checkpoint_folder() const { return context_.out_dir / "checkpoints"; }

  bool with_reducer = true;
  std::function<void(int64_t)> in_step;
  int64_t first = -1, checkpoints = -1;
  double stall = -1;
  nlohmann::json costs;
  std::vector<int64_t> borders;

 private:
  StopSignal stop_;
  RunContext context_;
  torch::Tensor weights_ = torch::zeros({50'000}, torch::kFloat64);
  torch::Tensor gradients_ = torch::zeros({7}, torch::kFloat64);
  std::vector<torch::Tensor> parameters_;
  std::unique_ptr<GradientReducer> reducer_;
  int64_t seen_ = 0;
};

CheckpointConfig every_step(int64_t keep = 2) {
  CheckpointConfig config;
  config.minutes = 0;
  config.steps = 1;
  config.keep = keep;
  return config;
}

CheckpointConfig never() {
  CheckpointConfig config;
  config.minutes = 0;
  return config;
}

std::vector<int64_t> steps_in(const fs::path& folder) {
  return CheckpointDirectory(folder, 1).steps();
}

TEST(TrainingLoop, TheRootsClockSaysWhenToSave) {
  for (const auto& [minutes, expected] : {std::pair<double, int64_t>{1e-9, kSteps}, {1e6, 0}}) {
    SharedRun shared(world(), [](const fs::path&) {});
    CheckpointConfig by_time;
    by_time.minutes = minutes;
    Counter counter(world(), shared.path());
    counter.run(by_time);
    EXPECT_EQ(counter.checkpoints, world().is_root() ? expected : 0);
  }
}

TEST(TrainingLoop, EveryCheckpointIsWhole) {
  SharedRun shared(world(), [](const fs::path&) {});
  Counter counter(world(), shared.path());
  counter.run(every_step(kSteps));
  EXPECT_EQ(counter.weights()[0].item<double>(), kSteps * (kSteps - 1) / 2);
  EXPECT_EQ(counter.checkpoints, world().is_root() ? kSteps : 0);
  if (!world().is_root()) return;
  EXPECT_GT(counter.stall, 0);
  const auto folder = counter.checkpoint_folder();
  ASSERT_EQ(static_cast<int64_t>(steps_in(folder).size()), kSteps);
  // Each holds the weights of its own step, though training went on while it was written.
  for (int64_t step = kSteps; step >= 1; --step) {
    const auto newest = CheckpointDirectory(folder, 1).load_newest();
    ASSERT_TRUE(newest);
    ASSERT_EQ(newest->step, step);
    EXPECT_TRUE(newest->tensors.at(0).second.equal(
        torch::full({50'000}, static_cast<double>(step * (step - 1)) / 2, torch::kFloat64)));
    EXPECT_EQ(newest->numbers.at("seen"), step);
    fs::remove(CheckpointDirectory(folder, 1).path_of(step));
  }
}

TEST(TrainingLoop, StopsAfterAGivenStepWithTheCheckpointOnDisk) {
  SharedRun shared(world(), [](const fs::path&) {});
  {
    Counter counter(world(), shared.path());
    counter.context().stop_after = 5;
    EXPECT_THROW(counter.run(never()), Interrupted);
    if (world().is_root()) {
      EXPECT_EQ(steps_in(counter.checkpoint_folder()), (std::vector<int64_t>{5}));
    }
  }
  Counter counter(world(), shared.path());
  counter.context().stop_after = 5;  // it has them already
  counter.run(never());
  EXPECT_EQ(counter.first, 5);
  EXPECT_EQ(counter.weights()[0].item<double>(), kSteps * (kSteps - 1) / 2);
  if (world().is_root()) {
    EXPECT_EQ(read_metrics(shared.path() / "out" / artifacts::metrics_log).size(),
              static_cast<size_t>(kSteps));
  }
}

TEST(TrainingLoop, TheEventFileGoesOnFromTheCheckpoint) {
  const auto event_file = [](Counter& counter) {
    return TensorboardLog(counter.context().out_dir);
  };
  size_t bytes_without_stop = 0;
  for (const bool stopped : {false, true}) {
    SharedRun shared(world(), [](const fs::path&) {});
    CheckpointConfig config = never();
    config.steps = 4;
    if (stopped) {
      Counter counter(world(), shared.path());
      counter.in_step = [](int64_t step) {
        if (step == 6) throw Error("killed");
      };
      EXPECT_THROW(counter.run(config), Error);
    }
    world().barrier();
    Counter next(world(), shared.path());
    next.run(config);
    if (!world().is_root()) continue;
    EXPECT_EQ(next.first, stopped ? 4 : 0);
    // The steps 4 and 5 were done twice, and stand there once.
    const size_t bytes = fs::file_size(event_file(next).file());
    if (!stopped) bytes_without_stop = bytes;
    EXPECT_EQ(bytes, bytes_without_stop);
  }
}

TEST(TrainingLoop, ASignalToOneRankStopsAll) {
  SharedRun shared(world(), [](const fs::path&) {});
  Counter counter(world(), shared.path());
  counter.in_step = [](int64_t step) {
    if (step == 2 && world().rank() == world().size() - 1) std::raise(SIGUSR2);
  };
  EXPECT_THROW(counter.run(every_step()), Interrupted);
  if (world().is_root()) {
    EXPECT_EQ(steps_in(counter.checkpoint_folder()), (std::vector<int64_t>{2, 3}));
  }
}

// The text with which run() ends, on every rank the same.
std::string common_error(Counter& counter, const CheckpointConfig& config) {
  std::string text = "none";
  try {
    counter.run(config);
  } catch (const Interrupted&) {
    text = "interrupted";
  } catch (const Error& error) {
    text = error.what();
  }
  const auto all = world().all_gather(text);
  for (const auto& other : all) EXPECT_EQ(other, all[0]);
  return all[0];
}

TEST(TrainingLoop, ACheckpointThatCannotBeWrittenEndsTheTrainingOnEveryRank) {
  SharedRun shared(world(), [](const fs::path&) {});
  Counter counter(world(), shared.path());
  // A file where the folder should be.
  if (world().is_root()) testing_support::overwrite(counter.checkpoint_folder(), "in the way");
  world().barrier();
  int64_t reached = 0;
  counter.in_step = [&](int64_t step) {
    reached = step;
    if (step == 3) std::this_thread::sleep_for(std::chrono::seconds(2));
  };
  CheckpointConfig config = never();
  config.steps = 3;
  const auto text = common_error(counter, config);
  EXPECT_NE(text.find("checkpoints"), std::string::npos) << text;
  // Begun after step 2; found out at the end of the step in which it failed.
  EXPECT_EQ(reached, 3);
}

TEST(TrainingLoop, TheLastCheckpointAndThatOfAStopAreNotLostSilently) {
  for (const int64_t stop_after : {int64_t{0}, int64_t{4}}) {
    SharedRun shared(world(), [](const fs::path&) {});
    Counter counter(world(), shared.path());
    if (world().is_root()) testing_support::overwrite(counter.checkpoint_folder(), "in the way");
    world().barrier();
    counter.context().stop_after = stop_after;
    CheckpointConfig config = never();
    config.steps = stop_after == 0 ? kSteps : 0;
    const auto text = common_error(counter, config);
    EXPECT_NE(text.find("checkpoints"), std::string::npos) << text;
  }
}

TEST(TrainingLoop, AFailingStepLeavesTheCheckpointThatWasUnderWay) {
  SharedRun shared(world(), [](const fs::path&) {});
  Counter counter(world(), shared.path());
  counter.in_step = [](int64_t step) {
    if (step == 1) throw Error("this step fails");
  };
  EXPECT_EQ(common_error(counter, every_step()), "this step fails");
  world().barrier();
  if (world().is_root()) {
    EXPECT_EQ(steps_in(counter.checkpoint_folder()), (std::vector<int64_t>{1}));
  }
}

TEST(TrainingLoop, SaysWhatAStopCosts) {
  SharedRun shared(world(), [](const fs::path&) {});
  const auto times = [&] {
    return read_state<CheckpointTimes>(shared.path() / "out" / kCheckpointTimesFile);
  };
  {
    Counter counter(world(), shared.path());
    counter.context().stop_after = 5;
    counter.in_step = [](int64_t step) {
      if (step == 2) std::this_thread::sleep_for(std::chrono::milliseconds(60));
    };
    EXPECT_THROW(counter.run(never()), Interrupted);
  }
  if (world().is_root()) {
    ASSERT_TRUE(times());
    EXPECT_GE(times()->step_seconds, 0.06);
    EXPECT_GT(times()->write_seconds, 0);
  }
  const double before = world().is_root() ? times()->write_seconds : 0;
  Counter counter(world(), shared.path());
  counter.run(never());
  if (!world().is_root()) return;
  EXPECT_EQ(times()->write_seconds, before) << "nothing newer is known";
  EXPECT_EQ(counter.costs.at("checkpoint_write_seconds"), before);
  EXPECT_EQ(counter.costs.at("longest_step_seconds"), times()->step_seconds);
}

TEST(TrainingLoop, SaysHowFarItIs) {
  SharedRun shared(world(), [](const fs::path&) {});
  Counter counter(world(), shared.path());
  counter.context().progress_file = shared.path() / "out" / "progress.json";
  counter.in_step = [&](int64_t step) {
    if (!world().is_root() || step > 0) return;
    const auto progress = read_state<StageProgress>(counter.context().progress_file);
    ASSERT_TRUE(progress);
    EXPECT_EQ(progress->step, 0);
  };
  counter.run(never());
  if (!world().is_root()) return;
  const auto progress = read_state<StageProgress>(counter.context().progress_file);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->step, kSteps);
  EXPECT_EQ(progress->title, "count");
  EXPECT_EQ(progress->figures.at(0).second, kSteps);
}

TEST(TrainingLoop, BucketBordersComeBack) {
  SharedRun shared(world(), [](const fs::path&) {});
  {
    Counter counter(world(), shared.path());
    counter.context().stop_after = 3;
    EXPECT_THROW(counter.run(never()), Interrupted);
    EXPECT_EQ(counter.borders, (std::vector<int64_t>{0, 3, 7}));
  }
  Counter other(world(), shared.path(), 1000);  // one bucket, by its own options
  other.context().stop_after = 6;
  EXPECT_THROW(other.run(never()), Interrupted);
  EXPECT_EQ(other.first, 3);
  EXPECT_EQ(other.borders, (std::vector<int64_t>{0, 3, 7}));
}

TEST(TrainingLoop, ACheckpointWithoutBordersMeansOneBucket) {
  SharedRun shared(world(), [](const fs::path&) {});
  {
    Counter earlier(world(), shared.path());
    earlier.with_reducer = false;
    earlier.context().stop_after = 3;
    EXPECT_THROW(earlier.run(never()), Interrupted);
  }
  Counter counter(world(), shared.path());
  counter.run(never());
  EXPECT_EQ(counter.first, 3);
  EXPECT_EQ(counter.borders, (std::vector<int64_t>{0, 7}));
}

TEST(TrainingLoop, ADamagedNewestCheckpointIsPassedOver) {
  SharedRun shared(world(), [](const fs::path&) {});
  {
    Counter counter(world(), shared.path());
    counter.context().stop_after = 6;
    EXPECT_THROW(counter.run(every_step()), Interrupted);
    if (world().is_root())
      testing_support::flip_byte(CheckpointDirectory(counter.checkpoint_folder(), 2).path_of(6),
                                 5000);
    world().barrier();
  }
  Counter counter(world(), shared.path());
  counter.run(every_step());
  EXPECT_EQ(counter.first, 5);
  EXPECT_EQ(counter.weights()[0].item<double>(), kSteps * (kSteps - 1) / 2);
  if (world().is_root()) {
    EXPECT_EQ(steps_in(counter.checkpoint_folder()), (std::vector<int64_t>{11, 12}));
  }
}

}  // namespace
}  // namespace stylescope
