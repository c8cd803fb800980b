#pragma once

#include "distributed/communicator.hpp"
#include "io/base/error.hpp"
#include "io/metrics_log.hpp"
#include "io/safetensors.hpp"
#include "io/sha256.hpp"
#include "stages/artifacts.hpp"
#include "stages/run_context.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

// What the tests of the training stages have in common.
namespace stylescope::testing_support {

// A run directory that all ranks share; the root fills it.
class SharedRun {
 public:
  SharedRun(Communicator& world, const std::function<void(const std::filesystem::path&)>& fill)
      : world_(world) {
    if (world.is_root()) {
      dir_ = std::make_unique<TempDir>();
      fill(dir_->path());
    }
    path_ = world.broadcast(dir_ ? dir_->path().string() : std::string(), 0);
  }
  ~SharedRun() { world_.barrier(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  Communicator& world_;
  std::unique_ptr<TempDir> dir_;
  std::filesystem::path path_;
};

template <class Config>
using StageFunction = nlohmann::json (*)(const Config&, RunContext&);

// The stage with the seed 5, writing into run_dir/out; gradients go in several buckets.
template <class Config>
nlohmann::json run_stage(StageFunction<Config> stage, const Config& config, Communicator& ranks,
                         const std::filesystem::path& run_dir, const std::string& out,
                         StopSignal& stop, torch::Dtype dtype = torch::kFloat64,
                         int64_t stop_after = 0) {
  RunContext context{ranks, torch::kCPU, dtype, 5, run_dir, run_dir / out, stop};
  context.reduction.bucket_mb = 0.02;
  context.stop_after = stop_after;
  if (ranks.is_root()) std::filesystem::create_directories(context.out_dir);
  ranks.barrier();
  return stage(config, context);
}

// `work` in a world of the first n ranks, while the others sleep.
inline void on_first_ranks(Communicator& world, int n,
                           const std::function<void(Communicator&)>& work) {
  {
    const bool mine = world.rank() < n;
    const auto part = world.split(mine ? 0 : 1);
    if (mine) work(*part);
  }
  world.barrier();
}

inline void expect_same_lines(const std::filesystem::path& a, const std::filesystem::path& b,
                              double tolerance) {
  const auto first = read_metrics(a / artifacts::metrics_log),
             second = read_metrics(b / artifacts::metrics_log);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i)
    for (const auto& [key, value] : first[i].items())
      EXPECT_NEAR(value.get<double>(), second[i].at(key).get<double>(),
                  tolerance * (1 + std::abs(value.get<double>())))
          << key << " at line " << i;
}

inline void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b,
                                double tolerance) {
  const auto first = read_safetensors(a), second = read_safetensors(b);
  ASSERT_EQ(first.tensors.size(), second.tensors.size());
  for (const auto& [name, tensor] : first.tensors) {
    const double scale = 1 + tensor.to(torch::kFloat64).abs().max().item<double>();
    EXPECT_LE((tensor - second.at(name)).to(torch::kFloat64).abs().max().item<double>(),
              tolerance * scale)
        << name;
  }
}

// The stage on all ranks, and on the root alone: the same lines and weights to 1e-8. Metrics as
// well, speed aside.
template <class Config>
void expect_same_on_one_rank(StageFunction<Config> stage, const Config& config, Communicator& world,
                             const std::filesystem::path& run_dir, const std::string& file) {
  StopSignal stop;
  const nlohmann::json together = run_stage(stage, config, world, run_dir, "ranks", stop);
  if (!world.is_root()) return;
  SelfCommunicator self;
  const nlohmann::json alone = run_stage(stage, config, self, run_dir, "alone", stop);
  expect_same_lines(run_dir / "ranks", run_dir / "alone", 1e-8);
  expect_same_tensors(run_dir / "ranks" / file, run_dir / "alone" / file, 1e-8);
  for (const auto& [key, value] : together.items()) {
    if (key == "images_per_second" || key.ends_with("_seconds") || key.starts_with("reduction_"))
      continue;
    EXPECT_NEAR(value.get<double>(), alone.at(key).get<double>(),
                1e-8 * (1 + std::abs(value.get<double>())))
        << key;
  }
}

// 20 steps, the first 10 on some ranks and the rest on others: the lines and weights of one
// undisturbed rank, to 1e-8.
template <class Config>
void expect_elastic(StageFunction<Config> stage, const Config& config, Communicator& world,
                    const std::filesystem::path& run_dir, const std::string& file) {
  constexpr std::array<std::pair<int, int>, 4> kRanks{{{1, 2}, {3, 2}, {1, 4}, {4, 3}}};
  StopSignal stop;
  on_first_ranks(world, 1, [&](Communicator& one) {
    run_stage(stage, config, one, run_dir, "undisturbed", stop);
  });
  for (const auto& [first, then] : kRanks) {
    if (std::max(first, then) != world.size()) continue;
    const std::string out = std::to_string(first) + "-then-" + std::to_string(then);
    on_first_ranks(world, first, [&](Communicator& ranks) {
      EXPECT_THROW(run_stage(stage, config, ranks, run_dir, out, stop, torch::kFloat64, 10),
                   Interrupted);
    });
    on_first_ranks(world, then, [&](Communicator& ranks) {
      run_stage(stage, config, ranks, run_dir, out, stop);
    });
    if (!world.is_root()) continue;
    expect_same_lines(run_dir / out, run_dir / "undisturbed", 1e-8);
    expect_same_tensors(run_dir / out / file, run_dir / "undisturbed" / file, 1e-8);
  }
}

// In float32 later steps drift apart (rounding is amplified); the first step's loss does not.
template <class Config>
void expect_same_first_loss_in_float32(StageFunction<Config> stage, Config config,
                                       Communicator& world, const std::filesystem::path& run_dir) {
  config.steps = 1;
  StopSignal stop;
  run_stage(stage, config, world, run_dir, "ranks32", stop, torch::kFloat32);
  if (!world.is_root()) return;
  SelfCommunicator self;
  run_stage(stage, config, self, run_dir, "alone32", stop, torch::kFloat32);
  const auto loss = [&](const char* out) {
    for (const auto& line : read_metrics(run_dir / out / artifacts::metrics_log))
      if (line.contains("loss")) return line.at("loss").get<double>();
    throw Error("no line with a loss");
  };
  EXPECT_NEAR(loss("ranks32"), loss("alone32"), 1e-5 * std::abs(loss("alone32")));
}

// A signal to the last rank only, `interruptions` times: each time the ranks agree at the end of
// the step, write a checkpoint and leave. In the end the files have the same bits as those of an
// undisturbed run.
template <class Config>
void expect_exact_resume(StageFunction<Config> stage, const Config& config, Communicator& world,
                         const std::filesystem::path& run_dir, const std::string& file,
                         int interruptions) {
  {
    StopSignal stop;
    run_stage(stage, config, world, run_dir, "undisturbed", stop);
  }
  for (int i = 0; i < interruptions; ++i) {
    StopSignal stop;
    if (world.rank() == world.size() - 1) std::raise(SIGTERM);
    EXPECT_THROW(run_stage(stage, config, world, run_dir, "resumed", stop), Interrupted);
  }
  {
    StopSignal stop;
    run_stage(stage, config, world, run_dir, "resumed", stop);
  }
  if (!world.is_root()) return;
  for (const std::string& name : {file, std::string(artifacts::metrics_log)})
    EXPECT_EQ(sha256_of_file(run_dir / "undisturbed" / name),
              sha256_of_file(run_dir / "resumed" / name))
        << name;
}

}  // namespace stylescope::testing_support
