#pragma once

#include "distributed/communicator.hpp"
#include "stages/blackbox/black_box.hpp"
#include "stages/blackbox/description.hpp"

#include <memory>
#include <string>

#include <torch/torch.h>

namespace stylescope {

// f as a program (docs/blackbox.md): started on this rank when it is first asked, one process for
// all batches. When it ends, is late or says something else, it is started again, at most
// description.restarts times in all, with a warning each, and asked the same again; one that has
// never answered is not. What it answers is not asked for twice: scores that are wrong are an Error
// at once. While it is waited for, this rank has long work. `world` must live longer.
std::unique_ptr<BlackBox> make_command_box(const BlackBoxDescription& description,
                                           Communicator& world, torch::Device device);

}  // namespace stylescope
