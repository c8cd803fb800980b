#pragma once

#include <string>

// Instants as text, in whole seconds.
namespace stylescope {

// Now, "2026-11-24T03:25:57Z".
std::string utc_time();
// Back to Unix time; 0 for what is no such text.
double unix_time_of(const std::string& utc);

}  // namespace stylescope
