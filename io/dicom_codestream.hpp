#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// What the headers of compressed pixels say, before a decoder is trusted with them.
namespace stylescope {

struct CodestreamFacts {
  int64_t rows = 0, columns = 0, samples = 0;
  int64_t precision = 0;         // bits a sample
  bool dct = false;              // JPEG: lossy, by DCT
  bool jfif = false;             // JPEG: has JFIF's marker: colour is YCbCr
  bool adobe = false;            // JPEG: has Adobe's marker, which says what colour is
  bool subsampled = false;       // JPEG: fewer samples of the second component than of the first
  bool color_transform = false;  // JPEG 2000: colour comes out as RGB (RCT, ICT)
};

// JPEG (ITU-T T.81, annex B) and JPEG-LS (T.87, annex C). Nothing where there is no frame header.
std::optional<CodestreamFacts> jpeg_facts(std::string_view stream);
// JPEG 2000 (T.800, annex A), with JP2's boxes around it or without.
std::optional<CodestreamFacts> jpeg_2000_facts(std::string_view stream);
// Does it end by JPEG's EOI or JPEG 2000's EOC (both ff d9)? What fills it up, zeros or one other
// byte, is passed over.
bool ends_by_marker(std::string_view stream);

}  // namespace stylescope
