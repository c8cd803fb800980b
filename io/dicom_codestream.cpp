#include "io/dicom_codestream.hpp"

namespace stylescope {
namespace {

// A big-endian number, 0 beyond the end.
uint64_t number(std::string_view stream, size_t at, size_t width) {
  if (at > stream.size() || width > stream.size() - at) return 0;
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<uint8_t>(stream[at + i]);
  return value;
}

bool is_frame(uint64_t marker) {
  const uint64_t code = marker & 0xff;
  return code == 0xf7 ||
         (code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc);
}

}  // namespace

std::optional<CodestreamFacts> jpeg_facts(std::string_view stream) {
  CodestreamFacts facts;
  if (number(stream, 0, 2) != 0xffd8) return std::nullopt;
  for (size_t at = 2; at + 4 <= stream.size();) {
    const uint64_t marker = number(stream, at, 2), length = number(stream, at + 2, 2);
    if (marker == 0xffff) {  // a fill byte
      ++at;
      continue;
    }
    if (marker >> 8 != 0xff || marker == 0xffda || length < 2) return std::nullopt;
    if (marker == 0xffe0) facts.jfif |= stream.substr(at + 4, 4) == "JFIF";
    if (marker == 0xffee) facts.adobe |= stream.substr(at + 4, 5) == "Adobe";
    if (is_frame(marker)) {
      if (at + 10 > stream.size()) return std::nullopt;
      facts.precision = static_cast<int64_t>(number(stream, at + 4, 1));
      facts.rows = static_cast<int64_t>(number(stream, at + 5, 2));
      facts.columns = static_cast<int64_t>(number(stream, at + 7, 2));
      facts.samples = static_cast<int64_t>(number(stream, at + 9, 1));
      facts.dct = marker <= 0xffc2;
      facts.subsampled =
          facts.samples == 3 && number(stream, at + 11, 1) != number(stream, at + 14, 1);
      return facts;
    }
    at += 2 + length;
  }
  return std::nullopt;
}

std::optional<CodestreamFacts> jpeg_2000_facts(std::string_view stream) {
  using namespace std::string_view_literals;
  const size_t begin = stream.find("\xff\x4f\xff\x51"sv);
  // JP2's boxes ahead of it are small.
  if (begin == std::string_view::npos || begin > 4096) return std::nullopt;
  const auto size = stream.substr(begin + 4);
  const int64_t x1 = static_cast<int64_t>(number(size, 4, 4)),
                y1 = static_cast<int64_t>(number(size, 8, 4)),
                x0 = static_cast<int64_t>(number(size, 12, 4)),
                y0 = static_cast<int64_t>(number(size, 16, 4));
  CodestreamFacts facts;
  facts.rows = y1 - y0;
  facts.columns = x1 - x0;
  facts.samples = static_cast<int64_t>(number(size, 36, 2));
  facts.precision = static_cast<int64_t>((number(size, 38, 1) & 0x7f) + 1);
  // The style of coding (COD) stands in the main header, which ends at the first tile (SOT).
  for (size_t at = begin + 4 + number(size, 0, 2); at + 4 <= stream.size();) {
    const uint64_t marker = number(stream, at, 2), length = number(stream, at + 2, 2);
    if (marker >> 8 != 0xff || marker == 0xff90 || length < 2) break;
    if (marker == 0xff52) facts.color_transform = number(stream, at + 8, 1) == 1;
    at += 2 + length;
  }
  return facts;
}

bool ends_by_marker(std::string_view stream) {
  const size_t end = stream.find_last_not_of('\0') + 1;  // 0 where there is none
  return stream.substr(0, end).substr(end > 3 ? end - 3 : 0).find("\xff\xd9") !=
         std::string_view::npos;
}

}  // namespace stylescope
