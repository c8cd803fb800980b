#include "io/jpeg_codec.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <jpeglib.h>
#include <vector>

namespace stylescope {
namespace {

// libjpeg reports through callbacks and cannot be left by an exception: every failure, and every
// warning about the data (libjpeg goes on and makes pixels up), comes back by longjmp.
struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg knows no more of it
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  errors->base.format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}
void on_message(j_common_ptr info, int level) {
  if (level < 0) leave(info);
}
jpeg_error_mgr* prepare(ErrorManager& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.emit_message = on_message;
  errors.base.output_message = [](j_common_ptr) {};
  errors.message[0] = '\0';
  return &errors.base;
}

[[noreturn]] void damaged(const ErrorManager& errors) {
  throw Error(detail::concatenate("the JPEG data is damaged (", errors.message, ")"));
}

// Bytes in memory, followed by end markers for ever: a stream that lacks its own is whole all the
// same (OpenSlide takes it so), and one that is cut off earlier runs into a marker where pixels
// should be.
struct Source {
  jpeg_source_mgr base;  // first: libjpeg knows no more of it

  Source() : base{} {
    base.init_source = base.term_source = [](j_decompress_ptr) {};
    base.resync_to_restart = jpeg_resync_to_restart;
    base.fill_input_buffer = [](j_decompress_ptr info) -> boolean {
      static constexpr JOCTET kEndMarker[] = {0xFF, 0xD9};
      info->src->next_input_byte = kEndMarker;
      info->src->bytes_in_buffer = sizeof kEndMarker;
      return TRUE;
    };
    base.skip_input_data = [](j_decompress_ptr info, long count) {
      const size_t skipped =
          std::min(info->src->bytes_in_buffer, static_cast<size_t>(std::max(count, 0L)));
      info->src->next_input_byte += skipped;
      info->src->bytes_in_buffer -= skipped;
    };
  }
  void point_to(std::string_view bytes) {
    base.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    base.bytes_in_buffer = bytes.size();
  }
};

// One marker segment of a stream: `code` after the 0xFF, and the whole of it with marker and
// length.
struct Segment {
  int code = 0;
  std::string_view bytes;
};
constexpr int kQuantization = 0xDB, kHuffman = 0xC4, kArithmetic = 0xCC, kScan = 0xDA, kEnd = 0xD9,
              kFirstApp = 0xE0, kAdobe = 0xEE, kComment = 0xFE;

bool is_table(int code) { return code == kQuantization || code == kHuffman || code == kArithmetic; }
bool is_frame(int code) {
  return code >= 0xC0 && code <= 0xCF && code != kHuffman && code != 0xC8 && code != kArithmetic;
}

// Calls visit(segment) for each marker after the start of the image up to and with the first scan's
// header or the end. Returns where the entropy-coded data begins (0: there is none, or the markers
// are damaged; libjpeg has the words for that).
template <class Visit>
size_t walk_markers(std::string_view stream, Visit&& visit) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(stream[i]); };
  size_t pos = 2;
  while (pos + 4 <= stream.size()) {
    if (at(pos) != 0xFF) return 0;
    const int code = at(pos + 1);
    if (code == 0xFF) {  // fill byte
      ++pos;
      continue;
    }
    if (code == kEnd) return 0;
    const size_t length = 2 + static_cast<size_t>(at(pos + 2)) * 256 + at(pos + 3);
    if (length < 4 || pos + length > stream.size()) return 0;
    visit(Segment{code, stream.substr(pos, length)});
    pos += length;
    if (code == kScan) return pos;
  }
  return 0;
}

// Does decoding `stream` leave other tables behind than it found?
bool changes_tables(std::string_view stream) {
  bool changes = false;
  const size_t data = walk_markers(stream, [&](const Segment& segment) {
    // Only sequential frames have all their tables before the first scan.
    changes |= is_table(segment.code) || (is_frame(segment.code) && segment.code > 0xC1);
  });
  return changes || data == 0;
}

J_COLOR_SPACE color_space(JpegColor color) {
  switch (color) {
    case JpegColor::as_marked:
      return JCS_UNKNOWN;
    case JpegColor::rgb:
      return JCS_RGB;
    case JpegColor::ycbcr:
      return JCS_YCbCr;
    case JpegColor::grey:
      return JCS_GRAYSCALE;
  }
  return JCS_UNKNOWN;
}

constexpr int64_t kMostPixels = int64_t{1} << 28;
constexpr int kRowsAtOnce = 16;

}  // namespace

struct JpegDecoder::Impl {
  jpeg_decompress_struct info;
  ErrorManager errors;
  Source source;
  // `info` holds exactly the tables of `tables`, and may be used as it is.
  bool clean = false;
  std::string tables;
  std::vector<uint8_t> row;  // for streams wider than asked for

  Impl() { create(); }
  ~Impl() { jpeg_destroy_decompress(&info); }

  void create() {
    info.err = prepare(errors);
    if (setjmp(errors.back)) damaged(errors);
    jpeg_create_decompress(&info);
    info.src = &source.base;
  }

  // libjpeg keeps tables from stream to stream, and has no call that forgets them.
  void load_tables(std::string_view wanted) {
    if (clean && wanted == tables) return;
    jpeg_destroy_decompress(&info);
    create();
    tables.assign(wanted);
    if (tables.empty()) return;
    if (setjmp(errors.back)) {
      jpeg_abort_decompress(&info);
      damaged(errors);
    }
    source.point_to(tables);
    if (jpeg_read_header(&info, FALSE) != JPEG_HEADER_TABLES_ONLY) {
      jpeg_abort_decompress(&info);
      throw Error("the JPEG data is damaged (its shared tables hold a picture)");
    }
  }

  void read_header(std::string_view stream) {
    if (setjmp(errors.back)) {
      jpeg_abort_decompress(&info);
      damaged(errors);
    }
    source.point_to(stream);
    jpeg_read_header(&info, TRUE);
  }

  // The rows into `rgb`; false: see errors.message. No C++ object lives here that longjmp would
  // skip.
  bool read_rows(int64_t width, int64_t height, uint8_t* rgb, int64_t stride) {
    if (setjmp(errors.back)) return false;
    jpeg_start_decompress(&info);
    const bool direct = info.output_width == width;
    JSAMPROW rows[kRowsAtOnce];
    while (info.output_scanline < height) {
      const int64_t first = info.output_scanline;
      if (direct) {
        const auto count = static_cast<int>(std::min<int64_t>(kRowsAtOnce, height - first));
        for (int i = 0; i < count; ++i) rows[i] = rgb + (first + i) * stride;
        jpeg_read_scanlines(&info, rows, static_cast<JDIMENSION>(count));
      } else {
        rows[0] = row.data();
        jpeg_read_scanlines(&info, rows, 1);
        std::copy_n(row.data(), 3 * width, rgb + first * stride);
      }
    }
    // Not jpeg_finish_decompress: with all pixels there, a missing end marker harms nobody
    // (OpenSlide takes such streams too).
    jpeg_abort_decompress(&info);
    return true;
  }
};

JpegDecoder::JpegDecoder() : impl_(std::make_unique<Impl>()) {}
JpegDecoder::~JpegDecoder() = default;

void JpegDecoder::decode(std::string_view stream, std::string_view tables, JpegColor color,
                         int scale_denominator, int64_t width, int64_t height, uint8_t* rgb,
                         int64_t stride) {
  SS_CHECK(scale_denominator == 1 || scale_denominator == 2 || scale_denominator == 4 ||
           scale_denominator == 8);
  validate(!stream.empty(), "the JPEG data is missing (zero bytes)");
  Impl& d = *impl_;
  d.load_tables(tables);
  d.clean = false;
  d.read_header(stream);

  jpeg_decompress_struct& info = d.info;
  const int64_t stream_width = info.image_width, stream_height = info.image_height;
  std::string problem;
  if (stream_width < width || stream_height < height)
    problem = detail::concatenate("smaller than expected (", stream_width, " x ", stream_height,
                                  " pixels, not ", width, " x ", height, ")");
  else if (stream_width * stream_height > kMostPixels)
    problem = detail::concatenate("of an absurd size (", stream_width, " x ", stream_height, ")");
  else if (info.num_components != 1 && info.num_components != 3)
    problem = detail::concatenate("neither grey nor RGB (", info.num_components, " components)");
  else if (color != JpegColor::as_marked &&
           info.num_components != (color == JpegColor::grey ? 1 : 3))
    problem = detail::concatenate("not what was announced (", info.num_components, " components)");
  if (!problem.empty()) {
    jpeg_abort_decompress(&info);
    throw Error("the JPEG data is " + problem);
  }

  if (color != JpegColor::as_marked) info.jpeg_color_space = color_space(color);
  info.out_color_space = JCS_RGB;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(scale_denominator);
  const auto scaled = [&](int64_t n) { return (n + scale_denominator - 1) / scale_denominator; };
  if (stream_width != width) d.row.resize(static_cast<size_t>(3 * scaled(stream_width)));
  if (!d.read_rows(scaled(width), scaled(height), rgb, stride)) {
    jpeg_abort_decompress(&info);
    damaged(d.errors);
  }
  d.clean = !changes_tables(stream);
}

JpegSize JpegDecoder::size_of(std::string_view stream) {
  JpegSize size;
  walk_markers(stream, [&](const Segment& segment) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(segment.bytes[i]); };
    if (is_frame(segment.code) && segment.bytes.size() >= 9)
      size = {at(7) * 256 + at(8), at(5) * 256 + at(6)};
  });
  validate(size.width > 0 && size.height > 0, "the JPEG data is damaged (it names no size)");
  return size;
}

namespace {

// Owns a compressor and the memory that it writes to.
struct Encoder {
  jpeg_compress_struct info;
  ErrorManager errors;
  unsigned char* out = nullptr;
  unsigned long size = 0;

  Encoder() {
    info.err = prepare(errors);
    if (setjmp(errors.back)) throw Error(detail::concatenate("libjpeg: ", errors.message));
    jpeg_create_compress(&info);
  }
  ~Encoder() {
    jpeg_destroy_compress(&info);
    std::free(out);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  bool run(const uint8_t* pixels, int64_t stride, int quality, bool subsample, JpegColor stored) {
    if (setjmp(errors.back)) return false;
    jpeg_mem_dest(&info, &out, &size);
    jpeg_set_defaults(&info);
    if (stored == JpegColor::rgb) jpeg_set_colorspace(&info, JCS_RGB);
    jpeg_set_quality(&info, quality, TRUE);
    for (int c = 0; c < info.num_components; ++c)
      info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor =
          c == 0 && subsample && info.num_components == 3 && stored != JpegColor::rgb ? 2 : 1;
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      JSAMPROW row = const_cast<uint8_t*>(pixels) + info.next_scanline * stride;
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return true;
  }
};

}  // namespace

std::string encode_jpeg(const uint8_t* pixels, int64_t width, int64_t height, int64_t stride,
                        int64_t channels, int quality, bool subsample, JpegColor stored) {
  SS_CHECK(channels == 1 || channels == 3);
  SS_CHECK(width > 0 && height > 0 && width <= JPEG_MAX_DIMENSION && height <= JPEG_MAX_DIMENSION,
           width, " x ", height);
  SS_CHECK(quality >= 1 && quality <= 100, quality);
  Encoder encoder;
  encoder.info.image_width = static_cast<JDIMENSION>(width);
  encoder.info.image_height = static_cast<JDIMENSION>(height);
  encoder.info.input_components = static_cast<int>(channels);
  encoder.info.in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  SS_CHECK(encoder.run(pixels, stride, quality, subsample, stored), encoder.errors.message);
  return {reinterpret_cast<const char*>(encoder.out), encoder.size};
}

JpegParts split_jpeg_tables(std::string_view file) {
  JpegParts parts{"\xFF\xD8", "\xFF\xD8"};
  const size_t data = walk_markers(file, [&](const Segment& segment) {
    if (is_table(segment.code))
      parts.tables += segment.bytes;
    else if (segment.code < kFirstApp || segment.code > kComment)
      parts.stream += segment.bytes;
  });
  validate(data > 0, "the JPEG data is damaged (no picture follows its markers)");
  parts.tables += "\xFF\xD9";
  parts.stream += file.substr(data);
  return parts;
}

std::string merge_jpeg_tables(std::string_view stream, std::string_view tables, JpegColor color) {
  // "Adobe", version 100, no flags, and the colour transform: 0 none, 1 YCbCr.
  constexpr std::array<char, 16> kMarker{'\xFF', '\xEE', 0,   14, 'A', 'd', 'o', 'b',
                                         'e',    0,      100, 0,  0,   0,   0,   0};
  std::string file = "\xFF\xD8";
  if (color == JpegColor::rgb || color == JpegColor::ycbcr) {
    file.append(kMarker.data(), kMarker.size() - 1);
    file += color == JpegColor::ycbcr ? '\1' : '\0';
  }
  walk_markers(tables, [&](const Segment& segment) {
    if (is_table(segment.code)) file += segment.bytes;
  });
  // A JFIF or Adobe marker of the stream would contradict ours.
  const size_t data = walk_markers(stream, [&](const Segment& segment) {
    const bool app = segment.code >= kFirstApp && segment.code <= kAdobe + 1;
    if (!app || color == JpegColor::as_marked) file += segment.bytes;
  });
  validate(data > 0, "the JPEG data is damaged (no picture follows its markers)");
  file += stream.substr(data);
  if (!stream.ends_with("\xFF\xD9")) file += "\xFF\xD9";
  return file;
}

}  // namespace stylescope
