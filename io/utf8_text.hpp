#pragma once

#include <filesystem>
#include <string>
#include <string_view>

// Text files that people save from all sorts of programs, in all sorts of encodings.
namespace stylescope {

// The content of a UTF-8 file without its byte order mark; where all lines end in \r alone they end
// in \n. Throws Error when it is in another encoding (UTF-16, UTF-32, Latin-1, ...) or no text,
// with the line and what to do.
std::string read_utf8(const std::filesystem::path& file);

// Where the first byte lies that no UTF-8 text (RFC 3629) has in its place; npos: nowhere.
size_t first_not_utf8(std::string_view text);

}  // namespace stylescope
