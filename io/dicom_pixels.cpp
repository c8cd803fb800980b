#include "io/dicom_pixels.hpp"

#include "io/base/error.hpp"
#include "io/dicom_codestream.hpp"
#include "io/gdcm_codec.hpp"
#include "io/jpeg_codec.hpp"
#include "io/picture_check.hpp"
#include "io/rle_codec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <utility>

namespace stylescope {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int64_t kMostPixels = int64_t{1} << 28;
constexpr std::array<std::string_view, 8> kPhotometric{
    "MONOCHROME1", "MONOCHROME2",  "PALETTE COLOR", "RGB",
    "YBR_FULL",    "YBR_FULL_422", "YBR_RCT",       "YBR_ICT"};
constexpr std::string_view kPartial = "YBR_PARTIAL_422";

bool is_subsampled(const std::string& photometric) {
  return photometric == "YBR_FULL_422" || photometric == kPartial;
}

// Bytes of the picture as they lie in a file that is not compressed.
uint64_t native_bytes(const DicomFormat& format) {
  const auto pixels = static_cast<uint64_t>(format.pixels());
  if (is_subsampled(format.photometric)) return pixels * 2;
  return pixels * static_cast<uint64_t>(format.samples * format.bits_allocated / 8);
}

// A value of one of the standard's code strings, and not what a damaged file has there instead.
std::string told(const std::string& code) {
  const bool fine = code.size() <= 16 && std::ranges::all_of(code, [](unsigned char c) {
                      return std::isupper(c) || std::isdigit(c) || c == '_' || c == ' ';
                    });
  return fine ? "'" + code + "'" : "(unreadable)";
}

// The picture's bits out of words of `width` bytes.
class Unpacker {
 public:
  Unpacker(const DicomFormat& format, int width, bool big_endian)
      : shift_(static_cast<int>(format.high_bit + 1 - format.bits_stored)),
        mask_((uint64_t{1} << format.bits_stored) - 1),
        sign_(format.is_signed ? uint64_t{1} << (format.bits_stored - 1) : 0),
        width_(width),
        big_(big_endian) {}

  double operator()(const char* at) const {
    uint64_t word = 0;
    for (int i = 0; i < width_; ++i)
      word = word << 8 | static_cast<uint8_t>(at[big_ ? i : width_ - 1 - i]);
    const uint64_t value = word >> shift_ & mask_;
    return static_cast<double>(static_cast<int64_t>(value ^ sign_) - static_cast<int64_t>(sign_));
  }

 private:
  int shift_;
  uint64_t mask_, sign_;
  int width_;
  bool big_;
};

std::vector<double> unpack(std::string_view bytes, const DicomFormat& format, bool big_endian) {
  const int width = static_cast<int>(format.bits_allocated / 8);
  const auto pixels = static_cast<size_t>(format.pixels()),
             samples = static_cast<size_t>(format.samples);
  const Unpacker value(format, width, big_endian);
  std::vector<double> values(pixels * samples);
  for (size_t s = 0; s < samples; ++s)
    for (size_t i = 0; i < pixels; ++i) {
      const size_t at = format.planar ? s * pixels + i : i * samples + s;
      values[s * pixels + i] = value(bytes.data() + at * static_cast<size_t>(width));
    }
  return values;
}

// Y1 Y2 Cb Cr for two pixels of a row (PS3.3, C.7.6.3.1.2).
std::vector<double> unpack_subsampled(std::string_view bytes, const DicomFormat& format) {
  const auto pixels = static_cast<size_t>(format.pixels());
  std::vector<double> values(pixels * 3);
  for (size_t i = 0; i < pixels; ++i) {
    const size_t pair = i / 2 * 4;
    values[i] = static_cast<uint8_t>(bytes[pair + i % 2]);
    values[pixels + i] = static_cast<uint8_t>(bytes[pair + 2]);
    values[2 * pixels + i] = static_cast<uint8_t>(bytes[pair + 3]);
  }
  return values;
}

DicomPixels native_pixels(const std::string& name, const DicomDocument& document,
                          const DicomFormat& format) {
  const DicomElement& element = *document.data.find(dicom_tag::pixels);
  validate(!element.encapsulated, name, ": its pixels are compressed, but its transfer syntax is ",
           document.syntax.name, "; export it again");
  const uint64_t needed = native_bytes(format), there = element.value.size();
  validate(there >= needed, name, ": is cut off (", format.rows, " x ", format.columns, " x ",
           format.samples, " pixels of ", format.bits_allocated, " bits take ", needed,
           " bytes, and there are ", there, "); copy or export it again");
  validate(there < 2 * needed || needed == 0, name, ": holds ", there, " bytes of pixels, where ",
           needed, " belong to the one frame that it announces; export it again");
  if (is_subsampled(format.photometric))
    return {unpack_subsampled(element.value, format), format.photometric, format.bits_stored};
  // PS3.5, annex A.3: bytes may lie two in a big-endian word.
  std::string swapped;
  std::string_view bytes = element.value;
  if (document.syntax.big_endian && format.bits_allocated == 8 && element.vr == "OW") {
    swapped = bytes;
    for (size_t i = 0; i + 1 < swapped.size(); i += 2) std::swap(swapped[i], swapped[i + 1]);
    bytes = swapped;
  }
  return {unpack(bytes, format, document.syntax.big_endian), format.photometric,
          format.bits_stored};
}

// Markers are believed before the photometric interpretation: many call RGB what JPEG has as YCbCr.
// So does GDCM, without any marker; but nobody subsamples RGB.
JpegColor color_of(const DicomFormat& format, const CodestreamFacts& facts) {
  if (format.samples == 1) return JpegColor::grey;
  const bool rgb = format.photometric == "RGB" && !facts.subsampled;
  if (rgb) return facts.jfif || facts.adobe ? JpegColor::as_marked : JpegColor::rgb;
  return facts.adobe ? JpegColor::as_marked : JpegColor::ycbcr;
}

// 8-bit lossy JPEG, by the decoder of our slides: colour comes out as RGB.
DicomPixels dct_pixels(const std::string& name, const DicomFormat& format,
                       const CodestreamFacts& facts, std::string_view stream) {
  const auto pixels = static_cast<size_t>(format.pixels());
  // Of each 8 x 8 pixels a bit at least: no memory for what is not there.
  validate(pixels <= 512 * stream.size(), name, ": is cut off (", stream.size(),
           " compressed bytes cannot hold ", format.rows, " x ", format.columns,
           " pixels); copy or export it again");
  std::vector<uint8_t> rgb(pixels * 3);
  try {
    JpegDecoder().decode(stream, {}, color_of(format, facts), 1, format.columns, format.rows,
                         rgb.data(), format.columns * 3);
  } catch (const Error& error) {
    throw Error(name + ": " + error.what() + "; copy or export it again");
  }
  std::vector<double> values(pixels * static_cast<size_t>(format.samples));
  for (size_t s = 0; s < static_cast<size_t>(format.samples); ++s)
    for (size_t i = 0; i < pixels; ++i) values[s * pixels + i] = rgb[i * 3 + s];
  return {std::move(values), format.samples == 1 ? format.photometric : "RGB", 8};
}

CodestreamFacts checked_facts(const std::string& name, const DicomDocument& document,
                              const DicomFormat& format, std::string_view stream) {
  const bool jpeg_2000 = document.syntax.coding == DicomCoding::jpeg_2000;
  const auto facts = jpeg_2000 ? jpeg_2000_facts(stream) : jpeg_facts(stream);
  validate(facts.has_value(), name, ": its compressed pixels are no ", document.syntax.name,
           "; copy or export it again");
  validate(facts->rows == format.rows && facts->columns == format.columns &&
               facts->samples == format.samples,
           name, ": announces ", format.rows, " x ", format.columns, " x ", format.samples,
           " pixels, and its compressed pixels are ", facts->rows, " x ", facts->columns, " x ",
           facts->samples, "; export it again");
  validate(facts->precision >= 2 && facts->precision <= 16, name, ": has compressed pixels of ",
           facts->precision, " bits (2 to 16 are read); export it again");
  // GDCM's own checks are assertions, or none: damage is to be found before it.
  validate(ends_by_marker(stream), name,
           ": its compressed picture is cut off; copy or export it again");
  const bool jpeg = document.syntax.coding == DicomCoding::jpeg;
  const std::string problem = jpeg ? jpeg_problem(stream) : "";
  validate(problem.empty(), name, ": its compressed picture ", problem);
  return *facts;
}

DicomPixels compressed_pixels(const std::string& name, const DicomDocument& document,
                              const DicomFormat& format, std::string_view stream) {
  const CodestreamFacts facts = checked_facts(name, document, format, stream);
  if (document.syntax.coding == DicomCoding::jpeg && facts.dct && facts.precision == 8)
    return dct_pixels(name, format, facts, stream);
  const std::string bytes =
      decode_compressed(name, {document.syntax.uid, format.rows, format.columns, format.samples,
                               facts.precision, format.is_signed, stream});
  DicomFormat decoded = format;
  decoded.planar = false;
  decoded.bits_allocated = facts.precision > 8 ? 16 : 8;
  decoded.bits_stored = std::min(format.bits_stored, facts.precision);
  decoded.high_bit = decoded.bits_stored - 1;
  const bool rgb = facts.color_transform || format.photometric.starts_with("YBR_RCT") ||
                   format.photometric.starts_with("YBR_ICT");
  return {unpack(bytes, decoded, false), rgb && format.samples == 3 ? "RGB" : format.photometric,
          decoded.bits_stored};
}

DicomPixels rle_pixels(const std::string& name, const DicomFormat& format,
                       std::string_view stream) {
  // Planes of one byte a sample, the most significant first (PS3.5, annex G).
  const auto planes =
      decode_dicom_rle(name, stream, static_cast<size_t>(format.pixels()),
                       static_cast<size_t>(format.samples * format.bits_allocated / 8));
  const auto width = static_cast<size_t>(format.bits_allocated / 8),
             pixels = static_cast<size_t>(format.pixels());
  std::string words(planes.size(), '\0');
  for (size_t s = 0; s < static_cast<size_t>(format.samples); ++s)
    for (size_t b = 0; b < width; ++b)
      for (size_t i = 0; i < pixels; ++i)
        words[(s * pixels + i) * width + b] = planes[(s * width + b) * pixels + i];
  DicomFormat planar = format;
  planar.planar = true;
  return {unpack(words, planar, true), format.photometric, format.bits_stored};
}

void check_bits(const std::string& name, const DicomFormat& format) {
  validate(format.bits_allocated != 1, name,
           ": has pixels of 1 bit (a mask, no picture); take it out of the folder");
  validate(format.bits_allocated == 8 || format.bits_allocated == 16 || format.bits_allocated == 32,
           name, ": has pixels of ", format.bits_allocated,
           " bits (8, 16 and 32 are read); export it with 16");
  validate(format.bits_stored >= 1 && format.bits_stored <= format.high_bit + 1 &&
               format.high_bit < format.bits_allocated,
           name, ": stores ", format.bits_stored, " bits up to bit ", format.high_bit, " in ",
           format.bits_allocated, " (which do not fit); export it again");
}

}  // namespace

DicomFormat described_format(const DicomDataSet& data) {
  const auto word = [&](uint32_t tag, int64_t missing) { return data.word(tag).value_or(missing); };
  DicomFormat format;
  format.rows = word(dicom_tag::rows, 0);
  format.columns = word(dicom_tag::columns, 0);
  format.samples = word(dicom_tag::samples, 1);
  format.bits_allocated = word(dicom_tag::bits_allocated, 0);
  format.bits_stored = word(dicom_tag::bits_stored, format.bits_allocated);
  format.high_bit = word(dicom_tag::high_bit, format.bits_stored - 1);
  format.is_signed = word(dicom_tag::representation, 0) == 1;
  format.planar = word(dicom_tag::planar, 0) == 1;
  format.photometric = data.text(dicom_tag::photometric);
  if (!data.text(dicom_tag::frames).empty()) {
    const auto frames = data.decimals(dicom_tag::frames);
    const bool number = frames.size() == 1 && frames[0] >= 0 && frames[0] < 1e9;
    format.frames = number ? static_cast<int64_t>(frames[0]) : 0;
  }
  return format;
}

void check_format(const std::string& name, const DicomDocument& document,
                  const DicomFormat& format) {
  const DicomDataSet& data = document.data;
  const std::string modality = data.text(dicom_tag::modality);
  const bool real = data.has(dicom_tag::float_pixels) || data.has(dicom_tag::double_pixels);
  validate(!real, name, ": has floating-point pixels; export it with whole numbers");
  validate(data.has(dicom_tag::pixels) && format.rows > 0 && format.columns > 0, name,
           ": is a DICOM file without a picture (",
           modality.empty() ? "" : "modality " + told(modality) + ", ", format.rows, " rows, ",
           format.columns, " columns); take it out of the folder");
  validate(
      document.syntax.coding != DicomCoding::unsupported, name, ": has transfer syntax ",
      document.syntax.name,
      ", which is not read; export it as Explicit VR Little Endian (with GDCM: gdcmconv --raw)");
  validate(format.frames == 1, name, ": ",
           format.frames > 1 ? "holds " + std::to_string(format.frames) + " frames"
                             : "does not say how many frames it holds",
           " (a picture has one); export the frame that is meant as a file of its own");
  validate(format.pixels() <= kMostPixels, name, ": is ", format.columns, " x ", format.rows,
           " pixels, too many for a picture; cut it into tiles");
  check_bits(name, format);
  validate(std::ranges::find(kPhotometric, format.photometric) != kPhotometric.end() ||
               format.photometric == kPartial,
           name, ": has photometric interpretation ", told(format.photometric),
           ", which is not read; export it as MONOCHROME2 or RGB");
  const bool color = format.photometric == "RGB" || format.photometric.starts_with("YBR");
  validate(format.samples == (color ? 3 : 1), name, ": is ", told(format.photometric), " with ",
           format.samples, " samples a pixel (", color ? 3 : 1, " belong to it); export it again");
  validate(!color || (format.bits_allocated <= 16 && !format.is_signed), name, ": has colours of ",
           format.is_signed ? "signed numbers" : "32 bits", "; export it with 8 bits");
  if (!is_subsampled(format.photometric) || document.syntax.coding != DicomCoding::native) return;
  validate(format.columns % 2 == 0 && format.bits_allocated == 8 && !format.planar, name, ": is ",
           told(format.photometric), " with ", format.columns, " columns of ",
           format.bits_allocated, " bits (an even number of 8 bits is read); export it as RGB");
}

DicomPixels stored_pixels(const std::string& name, const DicomDocument& document,
                          const DicomFormat& format) {
  const DicomElement& element = *document.data.find(dicom_tag::pixels);
  if (document.syntax.coding == DicomCoding::native) return native_pixels(name, document, format);
  std::string stream;
  for (const auto fragment : element.fragments) stream += fragment;
  validate(!stream.empty(), name, ": has no compressed pixels, but its transfer syntax is ",
           document.syntax.name, "; copy or export it again");
  if (document.syntax.coding == DicomCoding::rle) return rle_pixels(name, format, stream);
  return compressed_pixels(name, document, format, stream);
}

}  // namespace stylescope
