#pragma once

#include "stages/blackbox/black_box.hpp"
#include "stages/blackbox/description.hpp"
#include "stages/run_context.hpp"

#include <filesystem>
#include <memory>

namespace stylescope {

// The f of a run, as its classifier stage has published it, on the context's device. The root
// checks that it is still the one that the stage tried; a program is started when it is first
// asked. The context's world must live longer. Throws Error, naming the file, when it is missing,
// damaged or changed. Collective.
std::unique_ptr<BlackBox> load_black_box(const RunContext& context);
// The same for one rank that others do not wait for.
std::unique_ptr<BlackBox> load_black_box_alone(const RunContext& context);

// The same of a description; `folder` is where it lies, or will. Collective.
std::unique_ptr<BlackBox> open_black_box(const BlackBoxDescription& description,
                                         const std::filesystem::path& folder,
                                         const RunContext& context);

// Is the f of this run one of stylescope's networks, which can be looked into? Also where there is
// none yet.
bool is_own_network(const std::filesystem::path& run_dir);

}  // namespace stylescope
