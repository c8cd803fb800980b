#include "pipeline/config_text.hpp"

#include "io/base/error.hpp"
#include "io/utf8_text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

namespace stylescope {
namespace {

template <class... Parts>
[[noreturn]] void refuse(Parts&&... parts) {
  throw UsageError(detail::concatenate(std::forward<Parts>(parts)...));
}

[[noreturn]] void refuse_size(const std::string& file) {
  refuse(file, ": is larger than ", kLargestConfig / 1'000'000,
         " MB, which no configuration is (is it another file?); name a YAML file");
}

int64_t line_of(const std::string& text, size_t at) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
}

}  // namespace

std::string read_config_text(const std::filesystem::path& file, const std::string& advice) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    refuse(file.string(), ": is a folder; ", advice);
  std::ifstream in(file, std::ios::binary);
  if (!in) refuse(file.string(), ": cannot be read (", std::strerror(errno), "); ", advice);
  std::string text(kLargestConfig + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) refuse(file.string(), ": cannot be read (", std::strerror(errno), "); ", advice);
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kLargestConfig) refuse_size(file.string());
  return text;
}

void check_config_text(const std::string& text, const std::string& file) {
  using namespace std::string_view_literals;
  if (text.size() > kLargestConfig) refuse_size(file);
  for (const auto mark : {"\xFF\xFE"sv, "\xFE\xFF"sv, "\0\0\xFE\xFF"sv})
    if (text.starts_with(mark)) refuse(file, ": is UTF-16 or UTF-32 text; save it as UTF-8");
  const auto control = [](unsigned char c) {
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
  };
  const auto found = std::find_if(text.begin(), text.end(), control);
  if (found != text.end()) {
    const auto at = static_cast<size_t>(found - text.begin());
    refuse(file, ":", line_of(text, at), ": holds a byte ", static_cast<int>(*found),
           ", which no text has (a binary file, or UTF-16?); name a YAML file in UTF-8");
  }
  if (const size_t at = first_not_utf8(text); at != std::string::npos)
    refuse(file, ":", line_of(text, at), ": is not UTF-8 (Latin-1?); save it as UTF-8");
}

}  // namespace stylescope
