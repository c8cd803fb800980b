#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

namespace stylescope {

// "12"; nothing for what is not digits alone.
inline std::optional<int64_t> whole_number(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number < 0)
    return std::nullopt;
  return number;
}

}  // namespace stylescope
