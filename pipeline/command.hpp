#pragma once

#include "distributed/communicator.hpp"

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace stylescope {

// What a command does once its options are parsed. `prepare` runs on every rank before MPI starts:
// all usage and configuration errors belong there. `run` is collective; empty: the command ends
// with `prepare`.
struct Task {
  std::function<void()> prepare;
  std::function<void(Communicator&)> run;
};

// One row of the table of commands: `add` declares the options on its subcommand.
struct Command {
  const char* name;
  const char* help;
  Task (*add)(CLI::App& app);
};

const std::vector<Command>& commands();

Task add_run(CLI::App& app);
Task add_generate(CLI::App& app);
Task add_explain(CLI::App& app);
Task add_metrics(CLI::App& app);
Task add_export(CLI::App& app);
Task add_verify_resume(CLI::App& app);
Task add_bench(CLI::App& app);
Task add_submit(CLI::App& app);
Task add_status(CLI::App& app);
Task add_logs(CLI::App& app);
Task add_cancel(CLI::App& app);
Task add_sweep(CLI::App& app);
Task add_job(CLI::App& app);
Task add_doctor(CLI::App& app);

// Parses the command line, runs the command and gives the exit code. The only catch of the program.
int run_program(int argc, char** argv);

}  // namespace stylescope
