#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// Single JPEG streams in memory, by libjpeg-turbo: the tiles of slides, and images kept as JPEG in
// images.h5. Decoding is libjpeg's default (accurate integer DCT, fancy upsampling), as OpenSlide's
// is.
namespace stylescope {

// What the components of a stream mean. as_marked: as its own markers say.
enum class JpegColor { as_marked, rgb, ycbcr, grey };

struct JpegSize {
  int64_t width = 0, height = 0;
};

// Of one thread; reuse it.
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // `tables`: an abbreviated stream of tables (TIFF's JPEGTables), or empty. scale_denominator: 1,
  // 2, 4 or 8 (DCT scaling). Interleaved RGB of ceil(width / denominator) x ceil(height /
  // denominator), `stride` bytes from row to row; of a stream larger than width x height the rest
  // is left out. Throws Error "the JPEG data is ... (libjpeg's words)" for what is damaged, cut
  // off, smaller than asked for, or warned of by libjpeg; without a file name: the caller knows it.
  void decode(std::string_view stream, std::string_view tables, JpegColor color,
              int scale_denominator, int64_t width, int64_t height, uint8_t* rgb, int64_t stride);
  // What its frame header says; nothing is decoded. Throws Error.
  static JpegSize size_of(std::string_view stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Baseline JPEG of interleaved RGB (channels 3) or grey (1). quality 1..100; subsample: 4:2:0, else
// 4:4:4. stored: rgb keeps the components as they are, 4:4:4, else YCbCr. The same quality gives
// the same tables.
std::string encode_jpeg(const uint8_t* pixels, int64_t width, int64_t height, int64_t stride,
                        int64_t channels, int quality, bool subsample,
                        JpegColor stored = JpegColor::ycbcr);

// What TIFF stores: the tables once a file, and each stream without them (and without application
// markers).
struct JpegParts {
  std::string tables, stream;
};
JpegParts split_jpeg_tables(std::string_view file);

// A whole JPEG file from an abbreviated stream and its tables, with an Adobe marker that says the
// colour space.
std::string merge_jpeg_tables(std::string_view stream, std::string_view tables, JpegColor color);

}  // namespace stylescope
