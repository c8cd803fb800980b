#pragma once

#include <string>
#include <string_view>

namespace stylescope {

// Undoes raw DEFLATE (RFC 1951, no header). Throws Error, naming `name`, where it is damaged, cut
// off or becomes more than `most` bytes.
std::string inflate_raw(std::string_view deflated, size_t most, const std::string& name);

}  // namespace stylescope
