#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// "0-15,20" to {0, ..., 15, 20}: non-negative whole numbers and ascending ranges. Throws UsageError
// naming `option`.
std::vector<int64_t> parse_numbers(const std::string& option, const std::string& text);

}  // namespace stylescope
