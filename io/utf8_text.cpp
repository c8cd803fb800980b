#include "io/utf8_text.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace stylescope {
namespace {

constexpr const char* kSave = "save it as UTF-8 (in Excel: 'CSV UTF-8')";

// Length of the UTF-8 sequence that begins at `at`; 0: none does.
size_t sequence(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                        : first >= 0xE0 && first <= 0xEF ? 3
                        : first >= 0xF0 && first <= 0xF4 ? 4
                                                         : 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  // Too long for what they mean, halves of UTF-16 pairs, and what lies past U+10FFFF.
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : length;
}

void check_wide(const std::string& file, std::string_view text) {
  struct Mark {
    std::string_view bytes;
    const char* name;
  };
  static constexpr std::array<Mark, 4> kMarks{{{{"\xFF\xFE\0\0", 4}, "UTF-32"},
                                               {{"\0\0\xFE\xFF", 4}, "UTF-32"},
                                               {{"\xFF\xFE", 2}, "UTF-16"},
                                               {{"\xFE\xFF", 2}, "UTF-16"}}};
  for (const auto& mark : kMarks)
    validate(!text.starts_with(mark.bytes), file, ": is ", mark.name, " text; ", kSave);
  const size_t zero = text.find('\0');
  if (zero == std::string_view::npos) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(zero), '\n');
  throw Error(detail::concatenate(
      file, ":", line, ": holds a zero byte (it is UTF-16, or no text at all); ", kSave));
}

}  // namespace

size_t first_not_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequence(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string read_utf8(const std::filesystem::path& file) {
  std::string text = read_text(file);
  check_wide(file.string(), text);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  const size_t wrong = first_not_utf8(text);
  if (wrong != std::string::npos) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "0x%02X", static_cast<unsigned char>(text[wrong]));
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(wrong), '\n');
    throw Error(detail::concatenate(file.string(), ":", line, ": is not UTF-8 (its byte ", hex,
                                    " looks like Latin-1 or Windows-1252); ", kSave));
  }
  if (text.find('\n') == std::string::npos) std::replace(text.begin(), text.end(), '\r', '\n');
  return text;
}

}  // namespace stylescope
