#include "stages/html/text.hpp"

#include "io/picture.hpp"

#include <cmath>
#include <cstdio>

namespace stylescope::html {

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    const size_t whole = std::min<size_t>(bytes.size() - i, 3);
    for (size_t k = 0; k < 4; ++k) out += k <= whole ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string png_uri(std::string_view png) { return "data:image/png;base64," + base64(png); }
std::string png_uri(const torch::Tensor& pixels) {
  return png_uri(encode_png(pixels.contiguous()));
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "n/a";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  // No negative zero.
  const bool zero = std::string_view(text).find_first_not_of("-0.") == std::string_view::npos;
  return zero && text[0] == '-' ? text + 1 : text;
}

std::string with_sign(double value, int digits) {
  const auto text = fixed(value, digits);
  const bool positive = value > 0 && text.find_first_not_of("0.") != std::string::npos;
  return positive && std::isfinite(value) ? "+" + text : text;
}

std::string percent(double share) {
  if (!std::isfinite(share)) return "n/a";
  if (share > 0 && share < 0.005) return "<1 %";
  if (share < 1 && share > 0.995) return ">99 %";
  return fixed(100 * share, 0) + " %";
}

std::string thousands(int64_t value) {
  std::string text = std::to_string(value);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

}  // namespace stylescope::html
