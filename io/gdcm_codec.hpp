#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// GDCM behind a door of its own: it decodes one picture's compressed stream and sees nothing else
// of a file, so that nothing else can be in what it says.
namespace stylescope {

struct CompressedPixels {
  std::string syntax;  // UID of the transfer syntax
  int64_t rows = 0, columns = 0, samples = 0;
  int64_t precision = 0;  // bits a sample, as the stream's own header says
  bool is_signed = false;
  std::string_view stream;
};

// JPEG (8, 12, 16 bits, lossy and lossless), JPEG-LS and JPEG 2000: rows x columns x samples,
// interleaved, of one byte (up to 8 bits) or two, little-endian. Colour stays as it is stored but
// for JPEG 2000's own transforms. Throws Error, naming `name`, with GDCM's words.
std::string decode_compressed(const std::string& name, const CompressedPixels& pixels);

}  // namespace stylescope
