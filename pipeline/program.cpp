#include "distributed/host.hpp"
#include "distributed/mpi_session.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/startup_check.hpp"

#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

namespace stylescope {
namespace {

// An exception as the user sees it.
struct Failure {
  ExitCode code;
  std::string text;
};

Failure current_failure() {
  try {
    throw;
  } catch (const Interrupted& error) {
    return {ExitCode::interrupted, error.what()};
  } catch (const UsageError& error) {
    return {ExitCode::bad_usage, error.what()};
  } catch (const Error& error) {
    return {ExitCode::failed, error.what()};
  } catch (const c10::Error& error) {
    return {ExitCode::failed, error.what_without_backtrace()};
  } catch (const std::bad_alloc&) {
    return {ExitCode::failed, "out of memory; use a smaller batch, or fewer ranks on this host"};
  } catch (const std::exception& error) {
    return {ExitCode::failed, error.what()};
  }
}

// Before MPI every rank fails alike, as a rule, and one of them says why: the others are gone, with
// a launcher that looks after them, before their pause is over.
int report_alone(const Failure& failure) {
  if (launched_rank() > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    std::cerr << "[rank " << launched_rank() << " on " << host_name() << "] ";
  }
  std::cerr << failure.text << std::endl;
  return static_cast<int>(failure.code);
}

// The ranks agreed to stop: all leave by themselves.
int report_interrupted(const Failure& failure, const Communicator& world) {
  if (world.rank() == 0) log::info("{}", failure.text);
  return static_cast<int>(failure.code);
}

// Other ranks may be anywhere, even in a call that waits for this one: the monitor ends the job,
// and says the cause once.
int report_in_world(const Failure& failure, Communicator& world) {
  if (world.size() > 1) world.abort(static_cast<int>(failure.code), failure.text);
  // Where a launcher started many worlds of one, one of them says so.
  if (launched_rank() == 0) log::error("{}", failure.text);
  return static_cast<int>(failure.code);
}

void speak(const std::string& text, bool aloud) {
  if (aloud)
    log::error("{}", text);
  else
    log::info("{}", text);
}

int run_in_world(const Task& task, Communicator& world) {
  log::start(world.rank(), world.size(), false);
  try {
    check_world(world);
    task.run(world);
    return static_cast<int>(ExitCode::done);
  } catch (...) {
    const Failure failure = current_failure();
    return failure.code == ExitCode::interrupted ? report_interrupted(failure, world)
                                                 : report_in_world(failure, world);
  }
}

int parse_failed(CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0)
    return launched_rank() == 0 ? app.exit(error) : 0;  // --help, --version
  std::string help = "stylescope --help";
  for (const auto* chosen : app.get_subcommands())
    help = "stylescope " + chosen->get_name() + " --help";
  // The command line is the same for all.
  if (launched_rank() > 0) return static_cast<int>(ExitCode::bad_usage);
  return report_alone({ExitCode::bad_usage, std::string(error.what()) + "; see " + help});
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app(
      "stylescope: what would have to change in an image for a classifier to say something else",
      "stylescope");
  app.set_version_flag("--version", program_version() + " (" + program_revision() + ")");
  app.require_subcommand(1);
  std::map<const CLI::App*, Task> tasks;
  for (const auto& command : commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.help);
    tasks[sub] = command.add(*sub);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return parse_failed(app, error);
  }
  const Task& task = tasks.at(app.get_subcommands().front());
  try {
    at::set_num_interop_threads(1);
    if (task.prepare) task.prepare();
    if (!task.run) return static_cast<int>(ExitCode::done);
    if (!launched_as_rank()) {
      SelfCommunicator world;
      return run_in_world(task, world);
    }
    MpiSession session(&argc, &argv, speak);
    return run_in_world(task, session.world());
  } catch (...) {
    return report_alone(current_failure());
  }
}

}  // namespace stylescope
