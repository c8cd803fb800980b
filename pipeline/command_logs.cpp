#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_facts.hpp"
#include "pipeline/sweep.hpp"
#include "slurm/job_book.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr std::chrono::milliseconds kPause{500};
// Is anybody still at work? Slurm's controller is asked no more often than this.
constexpr double kQueueSeconds = 10;

// Prints what a growing file holds, from where the last call ended.
class Printer {
 public:
  explicit Printer(fs::path file) : file_(std::move(file)) {}

  // False where the file is not there yet.
  bool print_new() {
    std::ifstream in(file_, std::ios::binary);
    if (!in) return false;
    in.seekg(0, std::ios::end);
    const std::streamoff size = in.tellg();
    if (size < at_) at_ = 0;  // another file under this name
    in.seekg(at_);
    std::vector<char> buffer(1 << 16);
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
      std::cout.write(buffer.data(), in.gcount());
      at_ += in.gcount();
    }
    std::cout.flush();
    return true;
  }

 private:
  fs::path file_;
  std::streamoff at_ = 0;
};

struct LogsCommand {
  std::string run_dir, stage;
  bool follow = false;
  int64_t rank = -1, task = -1;
  fs::path home_;  // where the stage is made

  void answer() {
    if (launched_as_rank() && launched_rank() > 0) return;
    RunView view(run_dir);
    const bool table = stage == kSweepJob && fs::exists(sweep_folder(run_dir));
    if (!table) view.check_stage(stage);
    home_ = view.home_of(stage);
    const fs::path file = chosen();
    Printer printer(file);
    if (!follow) {
      validate(printer.print_new(), file.string(), ": is not there; ", those_there());
      return;
    }
    bool told = false;
    while (true) {
      // Asked before reading: what is written until then is printed.
      const bool goes_on = under_way_now(view);
      const bool there = printer.print_new();
      if (!goes_on) {
        validate(there, file.string(), ": is not there, and nobody is at work; ", those_there());
        return;
      }
      if (!there && !told) std::cerr << file.string() << ": is not there yet; waits\n";
      told = told || !there;
      std::this_thread::sleep_for(kPause);
    }
  }

  fs::path rank_log(int64_t of) const {
    const std::string share = task < 0 ? "" : ".task-" + std::to_string(task);
    return home_ / "logs" / (stage + share + ".rank-" + std::to_string(of) + ".log");
  }

  // The job's output; without a job, the root's log.
  fs::path chosen() const {
    if (rank >= 0) return rank_log(rank);
    const SlurmFiles files(home_);
    const fs::path output = task < 0 ? files.output(stage) : files.output(stage, task);
    const bool submitted = read_job_book(files).stages.contains(stage);
    return fs::exists(output) || (submitted && !fs::exists(rank_log(0))) ? output : rank_log(0);
  }

  bool under_way_now(RunView& view) const {
    const RunFacts facts = view.facts(kQueueSeconds);
    for (const auto& row : run_status(facts))
      if (row.stage == stage)
        return under_way(row.state) || (facts.run_locked && (row.state == StageState::waits ||
                                                             row.state == StageState::not_started));
    return false;
  }

  std::string those_there() const {
    std::vector<std::string> names;
    for (const char* folder : {"slurm", "logs"}) {
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(home_ / folder, ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(stage + ".") && name.ends_with(".log"))
          names.push_back(std::string(folder) + "/" + name);
      }
    }
    std::ranges::sort(names);
    constexpr size_t kShown = 12;
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), kShown); ++i)
      text += (text.empty() ? "" : ", ") + names[i];
    if (names.size() > kShown) text += detail::concatenate(" and ", names.size() - kShown, " more");
    return names.empty() ? "the stage has written no log yet" : "there are " + text;
  }
};

}  // namespace

Task add_logs(CLI::App& app) {
  auto command = std::make_shared<LogsCommand>();
  app.add_option("RUN_DIR", command->run_dir, "the run directory")->required();
  app.add_option("STAGE", command->stage, "the stage")->required();
  app.add_flag("-f,--follow", command->follow,
               "print what is added, until the stage is done or nobody works on it any more");
  app.add_option("--rank", command->rank, "the log of this rank, not the job's output")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--task", command->task, "of this share of a stage that is shared out (tile)")
      ->check(CLI::NonNegativeNumber);
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
