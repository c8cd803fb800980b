#pragma once

#include <sys/types.h>
#include <vector>

namespace stylescope::testing_support {

// All living processes that came from this one, parents before their children.
std::vector<pid_t> descendants_of(pid_t ancestor);

}  // namespace stylescope::testing_support
