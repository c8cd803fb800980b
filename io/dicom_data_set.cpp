#include "io/dicom_data_set.hpp"

#include "io/base/error.hpp"
#include "io/inflate.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

namespace stylescope {
namespace {

constexpr uint32_t kItem = 0xfffee000, kItemEnd = 0xfffee00d, kSequenceEnd = 0xfffee0dd;
constexpr uint64_t kUndefined = 0xffffffff;
constexpr size_t kMagicAt = 128, kDataAt = 132;
constexpr int kDeepest = 64;
constexpr size_t kMostInflated = size_t{1} << 29;

// Those with a length of four bytes, and those of two.
constexpr std::array<std::string_view, 13> kLong{"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                                 "SV", "UC", "UN", "UR", "UT", "UV"};
constexpr std::array<std::string_view, 21> kShort{"AE", "AS", "AT", "CS", "DA", "DS", "DT",
                                                  "FD", "FL", "IS", "LO", "LT", "PN", "SH",
                                                  "SL", "SS", "ST", "TM", "UI", "UL", "US"};

template <class List>
bool among(const List& list, std::string_view vr) {
  return std::ranges::find(list, vr) != list.end();
}

// The beginning of the file that was given ends within the header.
struct TooShort {};

struct Head {
  uint32_t tag = 0;
  std::string_view vr;  // "" where it is implicit
  uint64_t length = 0;
  size_t value_at = 0;
};

std::string tag_text(uint32_t tag) {
  char text[16];
  std::snprintf(text, sizeof text, "(%04x,%04x)", tag >> 16, tag & 0xffff);
  return text;
}

}  // namespace

// Steps from element to element and never beyond the end.
class DicomWalker {
 public:
  DicomWalker(std::string name, std::string_view bytes, uint64_t size, DicomEncoding encoding)
      : name_(std::move(name)), bytes_(bytes), size_(size), encoding_(encoding) {}

  size_t at = 0;
  bool ended() const { return at >= bytes_.size() && bytes_.size() >= size_; }

  // Elements up to the end, the pixels, or (where asked for) a group above `last_group`.
  DicomDataSet elements(bool with_pixels, uint32_t last_group = 0xffff) {
    DicomDataSet data;
    data.big_endian_ = encoding_.big_endian;
    data.name_ = name_;
    while (!ended() && !only_zeros()) {
      const Head head = this->head(at, encoding_);
      if (head.tag >> 16 > last_group || head.tag == kItemEnd) break;
      DicomElement& element = data.elements_[head.tag];
      element.vr = head.vr;
      element.encoding = encoding_of(head);
      if (head.tag >= dicom_tag::float_pixels && head.tag <= dicom_tag::pixels) {
        if (with_pixels) take_pixels(head, element);
        break;
      }
      at = end_of(head, encoding_, 0);
      element.value = bytes_.substr(head.value_at, at - head.value_at);
    }
    return data;
  }

  Head head(size_t from, DicomEncoding encoding) const {
    need(from, 8);
    Head head;
    head.tag =
        static_cast<uint32_t>(number(from, 2, encoding) << 16 | number(from + 2, 2, encoding));
    head.value_at = from + 8;
    const auto vr = bytes_.substr(from + 4, 2);
    // Delimiters have no VR, and neither have elements that somebody wrote as if it were implicit.
    const bool known = among(kShort, vr) || among(kLong, vr);
    const bool letters = vr[0] >= 'A' && vr[0] <= 'Z' && vr[1] >= 'A' && vr[1] <= 'Z';
    if (!encoding.explicit_vr || head.tag >> 16 == 0xfffe || !(known || letters)) {
      head.length = number(from + 4, 4, encoding);
      return head;
    }
    head.vr = vr;
    head.length = number(from + 6, 2, encoding);
    if (!among(kShort, vr)) {  // a VR of a later edition of the standard has the long form too
      need(from, 12);
      head.length = number(from + 8, 4, encoding);
      head.value_at = from + 12;
    }
    return head;
  }

  // The end of an element, with the delimiter of a sequence.
  size_t end_of(const Head& head, DicomEncoding encoding, int depth) const {
    if (head.length == kUndefined)
      return end_of_sequence(head.value_at,
                             head.vr == "UN" ? DicomEncoding{false, false} : encoding, depth + 1);
    if (!holds(head.value_at, head.length)) short_of(head.tag);
    return head.value_at + head.length;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error((name_.empty() ? "" : name_ + ": ") + problem + "; copy or export it again");
  }
  [[noreturn]] void short_of(uint32_t tag) const {
    if (bytes_.size() < size_) throw TooShort();
    fail("is cut off or damaged (its element " + tag_text(tag) + " ends beyond the file)");
  }
  bool holds(uint64_t from, uint64_t count) const {
    return from <= bytes_.size() && count <= bytes_.size() - from;
  }
  void need(uint64_t from, uint64_t count) const {
    if (holds(from, count)) return;
    if (bytes_.size() < size_) throw TooShort();
    fail("is cut off (it ends before its data set does)");
  }
  // Some programs fill up the file with zeros.
  bool only_zeros() const {
    return bytes_.size() >= size_ && bytes_.find_first_not_of('\0', at) == std::string_view::npos;
  }
  uint64_t number(size_t from, int width, DicomEncoding encoding) const {
    uint64_t value = 0;
    for (int i = 0; i < width; ++i)
      value = value << 8 |
              static_cast<uint8_t>(
                  bytes_[from + static_cast<size_t>(encoding.big_endian ? i : width - 1 - i)]);
    return value;
  }
  // PS3.5, 6.2.2: what is unknown and of undefined length is a sequence of implicit elements.
  DicomEncoding encoding_of(const Head& head) const {
    return head.vr == "UN" ? DicomEncoding{false, false} : encoding_;
  }

  size_t end_of_sequence(size_t from, DicomEncoding encoding, int depth) const {
    if (depth > kDeepest) fail("is damaged (its sequences lie too deep within one another)");
    for (;;) {
      const Head item = head(from, encoding);
      from = item.value_at;
      if (item.tag == kSequenceEnd) return from;
      if (item.tag != kItem) fail("is damaged (a sequence holds " + tag_text(item.tag) + ")");
      if (item.length != kUndefined) {
        if (!holds(from, item.length)) short_of(item.tag);
        from += item.length;
        continue;
      }
      for (;;) {
        const Head inner = head(from, encoding);
        from = inner.value_at;
        if (inner.tag == kItemEnd) break;
        from = end_of(inner, encoding, depth);
      }
    }
  }

  void take_pixels(const Head& head, DicomElement& element) {
    const size_t from = head.value_at;
    if (head.length != kUndefined) {
      element.value = bytes_.substr(from, std::min<uint64_t>(head.length, bytes_.size() - from));
      return;
    }
    element.encapsulated = true;
    at = from;
    for (bool first = true;; first = false) {
      const Head item = this->head(at, encoding_);
      if (item.tag == kSequenceEnd) return;
      if (item.tag != kItem) fail("is damaged (its pixels hold " + tag_text(item.tag) + ")");
      if (!holds(item.value_at, item.length)) fail("is cut off (within its pixels)");
      if (!first) element.fragments.push_back(bytes_.substr(item.value_at, item.length));
      at = item.value_at + item.length;
    }
  }

  std::string name_;
  std::string_view bytes_;
  uint64_t size_;
  DicomEncoding encoding_;
};

namespace {

// How a data set that begins at `from` is written. Its own transfer syntax is no sure witness, and
// without a header there is none: a VR or none stands behind the first tag.
DicomEncoding found_encoding(std::string_view bytes, size_t from, DicomEncoding said) {
  if (bytes.size() < from + 6) return said;
  const auto vr = bytes.substr(from + 4, 2);
  return {among(kShort, vr) || among(kLong, vr), said.big_endian};
}

DicomEncoding guessed_encoding(std::string_view bytes, size_t from) {
  const bool big = bytes.size() >= from + 2 && bytes[from] == 0 && bytes[from + 1] != 0;
  return found_encoding(bytes, from, {true, big});
}

const char* name_of(DicomEncoding encoding) {
  if (!encoding.explicit_vr) return "Implicit VR Little Endian";
  return encoding.big_endian ? "Explicit VR Big Endian" : "Explicit VR Little Endian";
}

bool has_preamble(std::string_view bytes) {
  return bytes.size() >= kDataAt && bytes.substr(kMagicAt, 4) == "DICM";
}

DicomDocument parse_whole_or_head(const std::string& name, std::string bytes, uint64_t size,
                                  bool with_pixels) {
  DicomDocument document;
  DicomWalker meta(name, bytes, size, {});
  meta.at = has_preamble(bytes) ? kDataAt : 0;
  DicomDataSet header;
  // Big-endian data sets without a header begin with other bytes: 00 08.
  if (meta.at > 0 || bytes.starts_with(std::string_view("\2\0", 2)))
    header = meta.elements(false, 0x0002);
  size_t from = meta.at;
  DicomEncoding encoding;
  if (header.has(dicom_tag::transfer_syntax)) {
    document.syntax = dicom_syntax(header.text(dicom_tag::transfer_syntax));
    encoding = {document.syntax.explicit_vr, document.syntax.big_endian};
  } else {
    encoding = guessed_encoding(bytes, from);
    document.syntax.name = name_of(encoding);
    document.syntax.coding = DicomCoding::native;
    document.syntax.explicit_vr = encoding.explicit_vr;
    document.syntax.big_endian = encoding.big_endian;
  }
  if (document.syntax.deflated) {
    if (bytes.size() < size) throw TooShort();
    bytes = inflate_raw(std::string_view(bytes).substr(from), kMostInflated, name);
    from = 0;
    size = bytes.size();
  }
  document.content = std::make_shared<const std::string>(std::move(bytes));
  DicomWalker walker(name, *document.content, size,
                     found_encoding(*document.content, from, encoding));
  walker.at = from;
  document.data = walker.elements(with_pixels);
  return document;
}

}  // namespace

bool looks_like_dicom(std::string_view bytes) {
  if (has_preamble(bytes)) return true;
  if (bytes.size() < 32) return false;
  const auto start = bytes.substr(0, 2);
  using namespace std::string_view_literals;
  if (start != "\x08\0"sv && start != "\x02\0"sv && start != "\0\x08"sv) return false;
  const auto encoding = guessed_encoding(bytes, 0);
  const DicomWalker walker("", bytes, bytes.size(), encoding);
  try {
    uint32_t before = 0;
    for (size_t i = 0, at = 0; i < 3; ++i) {
      const Head head = walker.head(at, encoding);
      if (head.tag >> 16 > 0x0028 || (i > 0 && head.tag <= before)) return false;
      if (encoding.explicit_vr && head.vr.empty()) return false;
      if (head.length == kUndefined || head.length % 2 != 0) return false;
      before = head.tag;
      at = walker.end_of(head, encoding, 0);
    }
  } catch (const Error&) {
    return false;
  }
  return true;
}

std::optional<DicomDocument> parse_dicom(const std::string& name, std::string bytes, uint64_t size,
                                         bool with_pixels) {
  try {
    return parse_whole_or_head(name, std::move(bytes), size, with_pixels);
  } catch (const TooShort&) {
    return std::nullopt;
  }
}

const DicomElement* DicomDataSet::find(uint32_t tag) const {
  const auto found = elements_.find(tag);
  return found == elements_.end() ? nullptr : &found->second;
}

std::string DicomDataSet::text(uint32_t tag) const {
  const DicomElement* element = find(tag);
  if (!element) return "";
  constexpr std::string_view kBlank(" \0", 2);
  std::string_view value = element->value;
  const size_t begin = value.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(value.substr(begin, value.find_last_not_of(kBlank) + 1 - begin));
}

std::vector<double> DicomDataSet::decimals(uint32_t tag) const {
  const std::string all = text(tag);
  std::vector<double> numbers;
  for (size_t at = 0; at <= all.size() && !all.empty();) {
    const size_t end = std::min(all.find('\\', at), all.size());
    std::string one = all.substr(at, end - at);
    std::erase(one, ' ');
    const char* first = one.c_str() + (one.starts_with('+') ? 1 : 0);
    double value = 0;
    const auto [last, failure] = std::from_chars(first, one.c_str() + one.size(), value);
    if (failure != std::errc() || *last != '\0') return {};
    numbers.push_back(value);
    at = end + 1;
  }
  return numbers;
}

std::vector<uint16_t> DicomDataSet::words(uint32_t tag) const {
  const DicomElement* element = find(tag);
  std::vector<uint16_t> words;
  if (!element) return words;
  const std::string_view value = element->value;
  for (size_t i = 0; i + 1 < value.size(); i += 2) {
    const auto first = static_cast<uint8_t>(value[i]), second = static_cast<uint8_t>(value[i + 1]);
    words.push_back(static_cast<uint16_t>(big_endian_ ? first << 8 | second : second << 8 | first));
  }
  return words;
}

std::optional<int64_t> DicomDataSet::word(uint32_t tag) const { return word(tag, false); }

std::optional<int64_t> DicomDataSet::word(uint32_t tag, bool is_signed) const {
  const auto all = words(tag);
  if (all.empty()) return std::nullopt;
  return is_signed ? static_cast<int64_t>(static_cast<int16_t>(all[0])) : all[0];
}

std::optional<DicomDataSet> DicomDataSet::first_item(uint32_t tag) const {
  const DicomElement* element = find(tag);
  if (!element || element->value.empty()) return std::nullopt;
  const std::string_view value = element->value;
  DicomWalker sequence(name_, value, value.size(), element->encoding);
  const Head item = sequence.head(0, element->encoding);
  if (item.tag != kItem) return std::nullopt;
  const auto rest = value.substr(item.value_at);
  const auto own = item.length == kUndefined ? rest : rest.substr(0, item.length);
  return DicomWalker(name_, own, own.size(), element->encoding).elements(false);
}

}  // namespace stylescope
