#pragma once

#include "distributed/communicator.hpp"

#include <memory>

namespace stylescope {

// Runs / starts a collective through the communicator's public calls: for communicators that hand
// on to another. A barrier cannot be started.
void run_collective(Communicator& world, const Collective& call);
std::unique_ptr<Work> start_collective(Communicator& world, const Collective& call);

}  // namespace stylescope
