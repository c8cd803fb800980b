#include "io/picture_check.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace stylescope {
namespace {

constexpr const char* kCutOff = "is cut off; copy or download it again";
constexpr const char* kDamaged = "is damaged; copy or download it again";
constexpr const char* kSize = "has no pixels (its width or height is 0); take it out of the folder";
constexpr const char* kOneFrame =
    " (a picture has one); save the one that is meant as a file of its own";
constexpr const char* kCmyk = "is a CMYK picture; save it as RGB or grey";

// Whole numbers at any place of the file; nothing when the place is beyond its end.
class Bytes {
 public:
  explicit Bytes(std::string_view data, bool big_endian = true) : data_(data), big_(big_endian) {}

  size_t size() const { return data_.size(); }
  bool holds(uint64_t at, uint64_t count) const {
    return at <= data_.size() && count <= data_.size() - at;
  }
  uint8_t byte(uint64_t at) const { return static_cast<uint8_t>(data_[at]); }
  std::string_view text(uint64_t at, uint64_t count) const { return data_.substr(at, count); }
  std::optional<uint64_t> number(uint64_t at, int width) const {
    if (!holds(at, width)) return std::nullopt;
    uint64_t value = 0;
    for (int i = 0; i < width; ++i)
      value = value << 8 | byte(at + static_cast<uint64_t>(big_ ? i : width - 1 - i));
    return value;
  }

 private:
  std::string_view data_;
  bool big_;
};

// CRC-32 of a PNG chunk's type and data (PNG specification, annex D).
uint32_t crc32(std::string_view data) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xedb88320U ^ (c >> 1) : c >> 1;
      made[i] = c;
    }
    return made;
  }();
  uint32_t crc = 0xffffffffU;
  for (const char c : data) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

// APNG's acTL chunk says how many frames there are.
std::string png_problem(const Bytes& in) {
  bool first = true;
  for (uint64_t at = 8;;) {
    const auto length = in.number(at, 4);
    if (!length || !in.holds(at + 8, *length + 4)) return kCutOff;
    const auto type = in.text(at + 4, 4);
    if (crc32(in.text(at + 4, *length + 4)) != in.number(at + 8 + *length, 4)) return kDamaged;
    if (first != (type == "IHDR")) return kDamaged;
    if (first && (*length < 13 || *in.number(at + 8, 4) == 0 || *in.number(at + 12, 4) == 0))
      return kSize;
    const auto frames = type == "acTL" ? in.number(at + 8, 4).value_or(0) : 0;
    if (frames > 1) return "is animated: " + std::to_string(frames) + " frames" + kOneFrame;
    if (type == "IEND") return "";
    first = false;
    at += 12 + *length;
  }
}

bool is_frame_header(uint8_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

// Height, width and number of components (ITU-T T.81, B.2.2).
std::string jpeg_frame_problem(const Bytes& in, uint64_t at) {
  const auto height = in.number(at + 5, 2), width = in.number(at + 7, 2),
             parts = in.number(at + 9, 1);
  if (!height || !width || !parts) return kCutOff;
  if (*height == 0 || *width == 0) return kSize;
  if (*parts == 4) return kCmyk;
  return "";
}

// Segments up to the end-of-image marker; the entropy-coded data of a scan runs to the next marker
// that is neither a stuffed zero nor a restart (ITU-T T.81, B.1.1).
std::string jpeg_stream_problem(const Bytes& in) {
  bool framed = false, scanned = false;
  for (uint64_t at = 2;;) {
    if (!in.holds(at, 2)) return kCutOff;
    if (in.byte(at) != 0xff) return kDamaged;
    const uint8_t marker = in.byte(at + 1);
    if (marker == 0xff) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xd9) return framed && scanned ? "" : kDamaged;
    const auto length = in.number(at + 2, 2);
    if (!length || !in.holds(at + 2, *length)) return kCutOff;
    if (*length < 2) return kDamaged;
    if (is_frame_header(marker)) {
      if (auto problem = jpeg_frame_problem(in, at); !problem.empty()) return problem;
      framed = true;
    }
    at += 2 + *length;
    if (marker != 0xda) continue;
    scanned = true;
    const auto ends_scan = [&](uint64_t i) {
      const uint8_t next = in.byte(i + 1);
      return in.byte(i) == 0xff && next != 0 && (next < 0xd0 || next > 0xd7);
    };
    while (in.holds(at, 2) && !ends_scan(at)) ++at;
  }
}

struct TiffField {
  uint64_t type = 0, count = 0, at = 0;  // where its values stand
};

// Reads the fields of a classic or big TIFF's directories (TIFF 6.0, section 2).
class Tiff {
 public:
  explicit Tiff(std::string_view data) : in_(data, data[0] == 'M'), big_(in_.number(2, 2) == 43) {}

  // Of the first page, which is the one that is read.
  std::string problem() const {
    const auto page = directory_at(in_.number(big_ ? 8 : 4, word()));
    if (!page) return kCutOff;
    for (uint64_t at = page->begin; at < page->end; at += entry())
      if (const auto found = field(at); !in_.holds(found.at, found.count * width_of(found.type)))
        return kCutOff;
    const auto value_of = [&](uint64_t tag, uint64_t missing = 0) {
      return value(find(*page, tag), missing);
    };
    if (value_of(256) == 0 || value_of(257) == 0) return kSize;
    if (value_of(262) == 5) return kCmyk;
    const auto bits = value_of(258, 1);
    if (value_of(339, 1) != 1 || bits > 16)
      return "holds neither 8-bit nor 16-bit whole numbers; save it as 8-bit or 16-bit";
    if (value_of(262) == 0 && bits == 16)
      return "is a 16-bit picture whose white is 0; save it with black as 0";
    const bool tiled = find(*page, 324).has_value();
    auto pieces = pieces_problem(find(*page, tiled ? 324 : 273), find(*page, tiled ? 325 : 279));
    if (!pieces.empty()) return pieces;
    const int64_t pages = 1 + further_pages(*page);
    return pages > 1 ? "holds " + std::to_string(pages) + " pages" + kOneFrame : "";
  }

 private:
  struct Directory {
    uint64_t begin = 0, end = 0;  // of its entries; then the next directory's place
  };
  int word() const { return big_ ? 8 : 4; }
  uint64_t entry() const { return big_ ? 20 : 12; }

  std::optional<Directory> directory_at(std::optional<uint64_t> place) const {
    const auto entries = place ? in_.number(*place, big_ ? 8 : 2) : std::nullopt;
    const uint64_t begin = place.value_or(0) + (big_ ? 8 : 2);
    if (!entries || *entries > in_.size() / entry() ||
        !in_.holds(begin, *entries * entry() + static_cast<uint64_t>(word())))
      return std::nullopt;
    return Directory{begin, begin + *entries * entry()};
  }
  std::optional<TiffField> find(const Directory& page, uint64_t tag) const {
    for (uint64_t at = page.begin; at < page.end; at += entry())
      if (in_.number(at, 2) == tag) return field(at);
    return std::nullopt;
  }
  // Pages that are pictures of their own: no thumbnails, levels of a pyramid, or masks.
  int64_t further_pages(const Directory& first) const {
    constexpr int kMost = 10'000;  // damage may make them a ring
    const auto size_of = [&](const Directory& page, uint64_t tag) {
      return value(find(page, tag));
    };
    int64_t count = 0;
    auto page = directory_at(in_.number(first.end, word()));
    for (int i = 0; page && i < kMost; ++i) {
      const bool part = value(find(*page, 254)) & 5U;
      const bool smaller =
          size_of(*page, 256) < size_of(first, 256) || size_of(*page, 257) < size_of(first, 257);
      if (!part && !smaller) ++count;
      const auto next = in_.number(page->end, word());
      page = next.value_or(0) == 0 ? std::nullopt : directory_at(next);
    }
    return count;
  }

  static int width_of(uint64_t type) {
    constexpr std::array<int, 19> widths{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 0, 0, 0, 8, 8, 8};
    return type < widths.size() ? widths[type] : 0;
  }
  TiffField field(uint64_t at) const {
    TiffField found{*in_.number(at + 2, 2), *in_.number(at + 4, word()),
                    at + 4 + static_cast<uint64_t>(word())};
    const uint64_t width = width_of(found.type);
    if (width == 0 || found.count > in_.size()) return {};
    if (found.count * width > static_cast<uint64_t>(word()))
      found.at = *in_.number(found.at, word());
    return found;
  }
  uint64_t value(const std::optional<TiffField>& field, uint64_t missing = 0,
                 uint64_t i = 0) const {
    if (!field || i >= field->count) return missing;
    const int width = width_of(field->type);
    return in_.number(field->at + i * width, width).value_or(0);
  }
  std::string pieces_problem(const std::optional<TiffField>& offsets,
                             const std::optional<TiffField>& sizes) const {
    if (!offsets || !sizes || offsets->count == 0 || offsets->count != sizes->count)
      return kDamaged;
    for (uint64_t i = 0; i < offsets->count; ++i)
      if (!in_.holds(value(offsets, 0, i), value(sizes, 0, i))) return kCutOff;
    return "";
  }

  Bytes in_;
  bool big_;
};

struct OtherKind {
  std::string_view magic;
  const char* name;
};
using namespace std::string_view_literals;
constexpr auto kOtherKinds = std::to_array<OtherKind>({{"GIF8"sv, "a GIF"},
                                                       {"BM"sv, "a BMP"},
                                                       {"\0\0\0\x0cjP  "sv, "a JPEG 2000"},
                                                       {"\xff\x4f\xff\x51"sv, "a JPEG 2000"},
                                                       {"P5"sv, "a PGM"},
                                                       {"P6"sv, "a PPM"},
                                                       {"%PDF"sv, "a PDF"},
                                                       {"\x89HDF"sv, "an HDF5"},
                                                       {"PK\3\4"sv, "a zip"},
                                                       {"\x1f\x8b"sv, "a gzip"}});

// What has the beginning of another kind of file; "" for what has none that is known.
std::string other_kind(std::string_view bytes) {
  const bool webp = bytes.starts_with("RIFF"sv) && bytes.substr(8, 4) == "WEBP"sv;
  // VP8X's flags; GIF's extension by which it repeats.
  const bool moves = webp ? bytes.size() > 20 && bytes.substr(12, 4) == "VP8X"sv && bytes[20] & 2
                          : bytes.substr(0, 4096).find("NETSCAPE2.0"sv) != bytes.npos;
  const auto kind = std::ranges::find_if(
      kOtherKinds, [&](const OtherKind& other) { return bytes.starts_with(other.magic); });
  if (!webp && kind == kOtherKinds.end()) return "";
  std::string name = webp ? "a WebP" : kind->name;
  if (moves && (webp || name == "a GIF"))
    return "is animated (" + name + " of several frames)" + kOneFrame + ", as PNG";
  return "is " + name + " file, and no PNG, JPEG, TIFF or DICOM; convert it, or take it away";
}

}  // namespace

std::string jpeg_problem(std::string_view stream) { return jpeg_stream_problem(Bytes(stream)); }

std::string picture_problem(std::string_view bytes) {
  if (bytes.empty()) return "is empty; copy or download it again";
  if (bytes.starts_with("\x89PNG\r\n\x1a\n"sv)) return png_problem(Bytes(bytes));
  if (bytes.starts_with("\xff\xd8\xff"sv)) return jpeg_problem(bytes);
  for (const auto magic : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv})
    if (bytes.starts_with(magic)) return Tiff(bytes).problem();
  if (std::string kind = other_kind(bytes); !kind.empty()) return kind;
  return "is no PNG, JPEG, TIFF or DICOM picture; convert it, or take it out of the folder";
}

}  // namespace stylescope
