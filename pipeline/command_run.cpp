#include "io/base/error.hpp"
#include "io/log.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/config_dump.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/runner.hpp"
#include "pipeline/session_outcome.hpp"
#include "pipeline/startup_check.hpp"
#include "pipeline/stop_deadline.hpp"
#include "stages/blackbox/tried_program.hpp"

#include <charconv>
#include <filesystem>
#include <iostream>
#include <memory>
#include <tuple>
#include <utility>

namespace stylescope {
namespace {

// "2/8": the share 2 of 8, from 0. Throws UsageError.
std::pair<int64_t, int64_t> parse_share(const std::string& text) {
  const char* const end = text.data() + text.size();
  int64_t task = -1, tasks = 0;
  const auto first = std::from_chars(text.data(), end, task);
  const bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, tasks) : first;
  if (!slash || second.ec != std::errc() || second.ptr != end || task < 0 || task >= tasks)
    throw UsageError("--task " + text +
                     ": is no share; say which of how many, from 0: --task 0/8 to --task 7/8");
  return {task, tasks};
}

struct RunCommand {
  std::string file, from, share;
  std::vector<std::string> only, overrides;
  int64_t stop_after = 0, task = -1, tasks = 0;
  bool dry_run = false, dump_default = false, strict = false;
  Config config;
  std::vector<Stage> selected;

  RunKey key() const { return {static_cast<uint64_t>(config.seed), config.precision, strict}; }

  void prepare() {
    if (dump_default) {
      config = default_config(overrides);
      if (launched_rank() == 0) std::cout << to_yaml(config, true);
      return;
    }
    if (file.empty()) throw UsageError("CONFIG is required; see stylescope run --help");
    config = load_config(file, overrides);
    selected = select(stages_of(config), from, only);
    if (!share.empty()) share_out();
    if (dry_run && launched_rank() == 0) forecast_run();
  }

  void share_out() {
    std::tie(task, tasks) = parse_share(share);
    if (selected.size() != 1 || only.empty())
      throw UsageError("--task " + share + ": is a share of one stage; name it: --only tile");
    if (!selected.front().pieces)
      throw UsageError("--task " + share + ": stage '" + selected.front().name +
                       "' cannot be shared out to tasks (tile can); leave out --task");
  }

  std::vector<std::string> sessions() const {
    std::vector<std::string> names;
    for (const auto& stage : selected) names.push_back(session_name(stage.name, task));
    return names;
  }

  void forecast_run() {
    std::cout << to_yaml(config, false) << "\n";
    for (const auto& decision : forecast(selected, key(), RunDirectory(config.run_dir))) {
      static constexpr const char* kWords[] = {"up to date", "runs", "goes on", "depends"};
      std::cout << "# " << decision.stage << ": " << kWords[static_cast<int>(decision.action)];
      if (!decision.reason.empty()) std::cout << " (" << decision.reason << ")";
      std::cout << "\n";
      for (const auto& note : decision.notes) std::cout << "#   " << note << "\n";
    }
  }

  // A failure here is one of the first stage's.
  Launch start(Communicator& world, StopSignal& stop) {
    SessionOutcome outcome(config.run_dir, world.is_root());
    outcome.of(sessions().front());
    try {
      return launch(world, stop, config.device, config.precision, config.threads,
                    config.distributed.backend);
    } catch (...) {
      outcome.failed();
      throw;
    }
  }

  void run(Communicator& world) {
    if (dump_default || dry_run) return;
    world.set_deadlines(config.distributed.deadlines());
    StopSignal stop;
    const StopDeadline stop_deadline(stop, world, config.distributed.stop_deadline,
                                     [this](const std::string& cause) {
                                       interrupt_sessions(config.run_dir, sessions(), cause);
                                     });
    RunSettings settings{config.name, config.run_dir, key(), to_yaml(config, false),
                         {},          only.empty()};
    for (const auto& stage : stages_of(config)) settings.all_stages.push_back(stage.name);
    settings.images = config.images_file();
    settings.stop_after = stop_after;
    settings.task = task;
    settings.tasks = tasks;
    settings.reduction = config.distributed.reduction;
    const Launch at = start(world, stop);
    at.world.set_deadlines(config.distributed.deadlines());
    if (config.classifier.black_box.kind == "command")
      on_root(world, [&] {
        std::filesystem::create_directories(config.run_dir);
        save_patience(config.classifier.black_box, config.run_dir);
      });
    run_stages(selected, settings, at);
    log::info("all done: {}", config.run_dir);
  }
};

}  // namespace

Task add_run(CLI::App& app) {
  auto command = std::make_shared<RunCommand>();
  app.add_option("CONFIG", command->file, "configuration file (YAML)");
  app.add_option("--from", command->from,
                 "leave out the stages before this one; their folders are taken as they are");
  app.add_option("--only", command->only, "these stages alone, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option(
      "--task", command->share,
      "K/N: of the one stage that is chosen (--only tile) the share K of N, counted from "
      "0; tasks work at the same time, and a run without --task puts all together");
  app.add_option("--set", command->overrides,
                 "section.key=value, over what the file says; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--stop-after", command->stop_after,
                 "stop each training stage after this many steps, with a checkpoint (exit code "
                 "75); run again, it goes on to the end")
      ->check(CLI::PositiveNumber);
  app.add_flag("--dry-run", command->dry_run,
               "print the resolved configuration and the stages that would run, and why");
  app.add_flag("--dump-default", command->dump_default,
               "print every key with its default and its meaning (--set images=tile: for slides)");
  app.add_flag("--strict", command->strict, "make stages of another program version again");
  app.footer(
      "A finished stage runs again when its configuration, its inputs or its format version "
      "changed; to force it, "
      "move its folder away.");
  return {[command] { command->prepare(); },
          [command](Communicator& world) { command->run(world); }};
}

}  // namespace stylescope
