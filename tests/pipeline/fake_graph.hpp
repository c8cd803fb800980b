#pragma once

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/file_lock.hpp"
#include "pipeline/runner.hpp"
#include "stages/training/training_loop.hpp"
#include "tests/support/temp_dir.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace stylescope::testing_support {

struct FakeConfig {
  int64_t value = 1;
  CheckpointConfig checkpoint;
  void describe(Fields& f) {
    f.field("value", value, {}, "a value");
    f.section("checkpoint", checkpoint, "checkpoints");
  }
};

// Three stages: source -> middle -> end. Each writes a file that follows from its inputs and its
// value, and counts its runs.
class FakeGraph {
 public:
  FakeConfig source, middle, end;
  int source_runs = 0, middle_runs = 0, end_runs = 0;
  std::string outside = "data 1";  // "": gone
  std::string fail_in;             // this stage throws after writing half.txt
  std::string stop_in;             // this stage throws Interrupted after writing half.txt
  std::function<void(RunContext&)> in_stage;  // called by each; may be empty
  std::vector<std::string> seen_halves;
  int64_t source_divisor =
      1;  // source writes value / divisor: other configurations with the same result

  TempDir dir;
  RunSettings settings{"fake", dir / "run", {}, "name: fake\n", {"source", "middle", "end"}, true};

  std::vector<Stage> stages() {
    std::vector<Stage> stages(3);
    const auto fill = [&](Stage& stage, const char* name, std::vector<std::string> inputs,
                          FakeConfig& config, int& runs) {
      stage.name = name;
      stage.inputs = std::move(inputs);
      stage.section = [&config](Fields& f) { config.describe(f); };
      stage.run = [this, name = std::string(name), inputs = stage.inputs, &config,
                   &runs](RunContext& context) {
        ++runs;
        return work(name, inputs, config, context);
      };
    };
    fill(stages[0], "source", {}, source, source_runs);
    fill(stages[1], "middle", {"source"}, middle, middle_runs);
    fill(stages[2], "end", {"source", "middle"}, end, end_runs);
    stages[1].pieces = [] { return 3; };
    stages[0].outside = [this] {
      validate(!outside.empty(), "data: is not there");
      return outside;
    };
    return stages;
  }

  // Runs what is not up to date; `only` as the command's.
  void run(const std::vector<std::string>& only = {}) {
    SelfCommunicator world;
    StopSignal stop;
    run_stages(select(stages(), "", only), settings,
               {world, stop, torch::kCPU, torch::kFloat32, 1});
  }

  std::vector<Decision> forecast() {
    return stylescope::forecast(stages(), settings.key, RunDirectory(settings.run_dir));
  }
  std::string runs() const {
    return std::to_string(source_runs) + std::to_string(middle_runs) + std::to_string(end_runs);
  }

 private:
  nlohmann::json work(const std::string& name, const std::vector<std::string>& inputs,
                      const FakeConfig& config, RunContext& context) {
    if (std::filesystem::exists(context.out_dir / "half.txt")) seen_halves.push_back(name);
    std::ofstream(context.out_dir / "half.txt") << "half";
    std::ofstream(context.out_dir / "metrics.jsonl") << "{\"runs\": \"" << runs() << "\"}\n";
    if (in_stage) in_stage(context);
    if (name == fail_in) throw Error("stage failed");
    if (name == stop_in) throw Interrupted("stopped");
    const auto value = name == "source" ? config.value / source_divisor : config.value;
    std::string text = name + std::to_string(value);
    for (const auto& input : inputs)
      text += "(" + read_text(context.run_dir / input / "result.txt") + ")";
    std::ofstream(context.out_dir / "result.txt") << text;
    return {{"length", text.size()}};
  }
};

}  // namespace stylescope::testing_support
