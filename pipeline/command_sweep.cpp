#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_directory.hpp"
#include "pipeline/run_facts.hpp"
#include "pipeline/sweep.hpp"
#include "pipeline/sweep_table.hpp"

#include <iostream>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct SweepCommand {
  std::string run_dir;

  void answer() const {
    if (launched_as_rank() && launched_rank() > 0) return;
    const auto runs = read_sweep(run_dir);
    if (runs.empty())
      throw UsageError(run_dir +
                       ": has no sweep; name the base run's folder, after stylescope submit "
                       "CONFIG --sweep KEY=VALUES");
    std::vector<SweepResult> results;
    for (const auto& run : runs) results.push_back(told(run));
    const std::string table = sweep_table(results);
    const fs::path folder = sweep_folder(run_dir);
    publish_text(folder / "results.txt", table);
    publish_text(folder / "results.csv", sweep_csv(results));
    std::cout << table << "all figures: " << (folder / "results.csv").string() << "\n";
  }

  // One that cannot be read takes nothing from the others.
  SweepResult told(const SweepRun& run) const {
    try {
      return result_of(run);
    } catch (const Error& error) {
      std::cerr << error.what() << "\n";
      return {run.point, "cannot be read", {}, {}};
    }
  }

  SweepResult result_of(const SweepRun& run) const {
    SweepResult result;
    result.point = run.point;
    const fs::path dir = sweep_folder(run_dir) / run.point.slug;
    if (!fs::exists(SlurmFiles(dir).config())) {
      result.state = "not submitted";
      return result;
    }
    RunView view(dir);
    result.state = sweep_state(run_status(view.facts()));
    const RunDirectory directory(dir);
    for (const auto& stage : view.stages()) {
      const auto record = directory.record(stage);
      if (!record || !record->contains("metrics")) continue;
      result.all_metrics[stage] = record->at("metrics");
      if (!run.shared.contains(stage)) result.metrics[stage] = record->at("metrics");
    }
    return result;
  }
};

}  // namespace

Task add_sweep(CLI::App& app) {
  auto command = std::make_shared<SweepCommand>();
  app.add_option("RUN_DIR", command->run_dir, "the base run's directory")->required();
  app.footer(
      "Works at any time, with what is there by then; writes RUN_DIR/sweep/results.txt and "
      "results.csv. Each run is a run directory of its own: RUN_DIR/sweep/<values>.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
