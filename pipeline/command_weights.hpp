#pragma once

#include "pipeline/command.hpp"

#include <memory>

// The commands for files that come from elsewhere or go there.
namespace stylescope {

Task add_import(CLI::App& app);
Task add_inspect(CLI::App& app);
// `export network`, one of export's sub-commands: when it is given, it puts its task into `chosen`.
void add_export_network(CLI::App& app, const std::shared_ptr<Task>& chosen);

}  // namespace stylescope
