#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/scratch_folder.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/resume_trial.hpp"

#include <iostream>
#include <memory>
#include <sstream>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct VerifyResume {
  std::string file, launcher, dir;
  std::vector<std::string> stages{"classifier", "gan", "encoder"}, overrides;
  int64_t steps = 20, ranks = 1, kills = 2, seed = 0;
  Config config;

  void prepare() {
    if (launched_as_rank())
      throw UsageError(
          "verify-resume starts, kills and starts again the ranks itself; call it without mpirun "
          "or "
          "srun, with --ranks N or --launcher 'srun -n N'");
    config = load_config(file, overrides);
    select(stages_of(config), "", stages);  // unknown names
    for (const auto& stage : stages)
      if (stage != "classifier" && stage != "gan" && stage != "encoder")
        throw UsageError("--stage " + stage +
                         ": does not train; there are classifier, gan and encoder");
    if (config.classifier.black_box.trained_here()) return;
    std::erase(stages, "classifier");
    if (stages.empty())
      throw UsageError("--stage classifier: does not train, because classifier.kind is " +
                       config.classifier.black_box.kind + "; there are gan and encoder");
  }

  std::vector<std::string> launch_words() const {
    std::vector<std::string> words;
    std::istringstream text(launcher);
    for (std::string word; text >> word;) words.push_back(word);
    if (words.empty() && ranks > 1)
      words = {"mpirun", "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none"};
    return words;
  }

  void run() {
    const ScratchFolder scratch(dir.empty() ? fs::temp_directory_path() : fs::path(dir));
    ResumeTrial trial;
    trial.program = fs::read_symlink("/proc/self/exe");
    trial.launcher = launch_words();
    trial.config_file = fs::absolute(file);
    trial.overrides = overrides;
    trial.scratch = fs::absolute(scratch.path());
    trial.finished_run = config.run_dir;
    trial.steps = steps;
    trial.kills = kills;
    trial.ranks = ranks;
    trial.seed = static_cast<uint64_t>(seed);
    int64_t failed = 0;
    const auto graph = stages_of(config);
    for (const auto& stage : select(graph, "", stages)) {
      const auto outcome = try_resume(trial, stage, graph);
      std::cout << stage.name << ": " << outcome.text << std::endl;
      if (!outcome.same) ++failed;
    }
    validate(failed == 0, failed,
             " stage(s) did not end in the same bits: do not count on resuming here bit for bit "
             "(another type of CPU on some hosts? another number of threads?)");
  }
};

}  // namespace

Task add_verify_resume(CLI::App& app) {
  auto command = std::make_shared<VerifyResume>();
  app.add_option("CONFIG", command->file, "configuration file (YAML)")->required();
  app.add_option("--stage", command->stages, "training stages, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--steps", command->steps, "how many steps of each stage are compared")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  app.add_option("--kills", command->kills, "how often the second run is killed")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--ranks", command->ranks, "ranks of the runs (by mpirun)")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--launcher", command->launcher,
                 "what starts them instead, for example 'srun -n 8 --mpi=pmix'");
  app.add_option("--seed", command->seed, "of the instants of the kills")->capture_default_str();
  app.add_option("--dir", command->dir,
                 "where the two runs are made, for a while; on a cluster a folder that all hosts "
                 "share (default: TMPDIR)");
  app.add_option("--set", command->overrides, "section.key=value; may be repeated")
      ->allow_extra_args(false);
  app.footer(
      "Each stage is trained twice for some steps from the same inputs (a finished run's, where "
      "there is one): once undisturbed, once killed with SIGKILL and started again. Their "
      "checkpoints must hold the same bits.");
  return {[command] { command->prepare(); }, [command](Communicator&) { command->run(); }};
}

}  // namespace stylescope
