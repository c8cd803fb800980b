#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace stylescope {

// CRC-32C (Castagnoli's polynomial; RFC 3720, appendix B.4).
inline uint32_t crc32c(std::string_view data) {
  static constexpr auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = t[i] >> 1 ^ (t[i] & 1 ? 0x82f63b78U : 0);
    }
    return t;
  }();
  uint32_t crc = 0xffffffffU;
  for (const char c : data) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

}  // namespace stylescope
