#pragma once

#include <string>

namespace stylescope {

// This machine's name, as the cluster knows it.
std::string host_name();

}  // namespace stylescope
