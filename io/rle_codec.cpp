#include "io/rle_codec.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace stylescope {
namespace {

constexpr size_t kHeader = 64;
constexpr size_t kMostSegments = 15;

uint32_t word(std::string_view stream, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i > 0; --i) value = value << 8 | static_cast<uint8_t>(stream[at + i - 1]);
  return value;
}

// PackBits: n from 0 to 127, n + 1 bytes as they are; from -127 to -1, one byte 1 - n times.
// Appends `length` bytes to `out`; false where there are not so many.
bool unpack_bits(std::string_view segment, size_t length, std::string& out) {
  const size_t end = out.size() + length;
  for (size_t at = 0; out.size() < end && at + 1 < segment.size();) {
    const auto n = static_cast<int8_t>(segment[at++]);
    if (n == -128) continue;
    const size_t room = end - out.size();
    if (n < 0) {
      out.append(std::min<size_t>(room, static_cast<size_t>(1 - n)), segment[at++]);
      continue;
    }
    const size_t count = std::min<size_t>({room, static_cast<size_t>(n) + 1, segment.size() - at});
    out.append(segment, at, count);
    at += static_cast<size_t>(n) + 1;
  }
  return out.size() == end;
}

}  // namespace

std::string decode_dicom_rle(const std::string& name, std::string_view stream, size_t length,
                             size_t segments) {
  validate(stream.size() > kHeader, name, ": its RLE data is cut off; copy or export it again");
  const size_t count = word(stream, 0);
  validate(count == segments && count <= kMostSegments, name, ": its RLE data has ", count,
           " segments, where ", segments, " belong to its pixels; copy or export it again");
  // Two bytes become 128 at most: a damaged header is not to ask for more memory than that.
  validate(length * segments <= stream.size() * 64, name,
           ": its RLE data is too short for its rows and columns; copy or export it again");
  std::string out;
  out.reserve(length * segments);
  for (size_t i = 0; i < segments; ++i) {
    const size_t begin = word(stream, 4 + 4 * i);
    const size_t end = i + 1 < segments ? word(stream, 8 + 4 * i) : stream.size();
    validate(begin >= kHeader && begin < end && end <= stream.size() &&
                 unpack_bits(stream.substr(begin, end - begin), length, out),
             name, ": its RLE data is cut off or damaged (in segment ", i + 1, " of ", segments,
             "); copy or export it again");
  }
  return out;
}

}  // namespace stylescope
