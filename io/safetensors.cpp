#include "io/safetensors.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <istream>
#include <set>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct DtypeName {
  const char* name;
  torch::Dtype dtype;
};
constexpr std::array<DtypeName, 10> kDtypes{{{"F64", torch::kFloat64},
                                             {"F32", torch::kFloat32},
                                             {"F16", torch::kFloat16},
                                             {"BF16", torch::kBFloat16},
                                             {"I64", torch::kInt64},
                                             {"I32", torch::kInt32},
                                             {"I16", torch::kInt16},
                                             {"I8", torch::kInt8},
                                             {"U8", torch::kUInt8},
                                             {"BOOL", torch::kBool}}};
constexpr int64_t kLargestHeader = 100'000'000;

struct Entry {
  std::string name;
  torch::Dtype dtype = torch::kFloat32;
  std::vector<int64_t> shape;
  int64_t begin = -1;
  int64_t end = -1;
};

struct Header {
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
};

// The header is JSON of one fixed form (objects of strings and arrays of whole numbers), so that
// reading it needs no JSON library: what one carries to a bare GPU machine builds from LibTorch
// alone.
class HeaderParser {
 public:
  HeaderParser(const std::string& text, const std::string& file) : text_(text), file_(file) {}

  Header parse() {
    Header header;
    object([&](const std::string& key) {
      if (key == "__metadata__")
        object([&](const std::string& name) { header.metadata[name] = string(); });
      else
        header.entries.push_back(entry(key));
    });
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(detail::concatenate(file_, ": is no safetensors file (its header: ", what,
                                    " at byte ", position_ + 8,
                                    "); get the file again from where it came"));
  }
  char peek() {
    while (position_ < text_.size() && std::strchr(" \t\r\n", text_[position_])) ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  void expect(char c) {
    if (peek() != c) fail(detail::concatenate("'", c, "' expected"));
    ++position_;
  }
  template <class Member>
  void object(Member member) {
    expect('{');
    if (peek() != '}') {
      while (true) {
        const std::string key = string();
        expect(':');
        member(key);
        if (peek() != ',') break;
        ++position_;
      }
    }
    expect('}');
  }
  std::string string() {
    expect('"');
    std::string value;
    while (position_ < text_.size() && text_[position_] != '"') {
      if (text_[position_] != '\\') {
        value += text_[position_++];
        continue;
      }
      if (++position_ >= text_.size()) break;
      escape(value);
    }
    if (position_ >= text_.size()) fail("a string does not end");
    ++position_;
    return value;
  }
  void escape(std::string& value) {
    const char c = text_[position_++];
    static constexpr std::string_view kCodes = "\"\\/bfnrt", kChars = "\"\\/\b\f\n\r\t";
    if (const auto at = kCodes.find(c); at != std::string_view::npos) {
      value += kChars[at];
      return;
    }
    if (c != 'u' || position_ + 4 > text_.size()) fail("an unknown escape");
    const auto code =
        static_cast<unsigned>(std::strtoul(text_.substr(position_, 4).c_str(), nullptr, 16));
    position_ += 4;
    if (code < 0x80) {
      value += static_cast<char>(code);
    } else if (code < 0x800) {
      value += static_cast<char>(0xC0 | (code >> 6));
      value += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      value += static_cast<char>(0xE0 | (code >> 12));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      value += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  std::vector<int64_t> integers() {
    std::vector<int64_t> values;
    expect('[');
    if (peek() != ']') {
      while (true) {
        peek();
        int64_t value = 0;
        size_t digits = 0;
        for (;
             position_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[position_]));
             ++position_) {
          if (++digits > 18) fail("a smaller number expected");
          value = value * 10 + (text_[position_] - '0');
        }
        if (digits == 0) fail("a whole number expected");
        values.push_back(value);
        if (peek() != ',') break;
        ++position_;
      }
    }
    expect(']');
    return values;
  }
  Entry entry(const std::string& name) {
    Entry e;
    e.name = name;
    object([&](const std::string& key) {
      if (key == "dtype") {
        const std::string dtype = string();
        const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                         [&](const DtypeName& d) { return dtype == d.name; });
        if (found == kDtypes.end())
          fail(detail::concatenate("tensor '", name, "' has the unknown dtype ", dtype));
        e.dtype = found->dtype;
      } else if (key == "shape") {
        e.shape = integers();
      } else if (key == "data_offsets") {
        const auto offsets = integers();
        if (offsets.size() != 2) fail("data_offsets needs two numbers");
        e.begin = offsets[0];
        e.end = offsets[1];
      } else {
        fail(detail::concatenate("unknown key '", key, "'"));
      }
    });
    if (e.begin < 0) fail(detail::concatenate("tensor '", name, "' has no data_offsets"));
    return e;
  }

  const std::string& text_;
  const std::string& file_;
  size_t position_ = 0;
};

// -1: more than any file holds, where strides would overflow, even with an extent of 0 among them.
int64_t bytes_of(const Entry& e) {
  int64_t count = 1;
  bool empty = false;
  for (const auto n : e.shape) {
    empty = empty || n == 0;
    if (n == 0) continue;
    if (count > (int64_t{1} << 56) / n) return -1;
    count *= n;
  }
  return empty ? 0 : count * static_cast<int64_t>(torch::elementSize(e.dtype));
}

// Each name once, and the data section covered exactly: no holes, no overlaps (as the format
// demands).
void check_layout(const Header& header, int64_t data_bytes, const std::string& file) {
  std::vector<const Entry*> order;
  std::set<std::string_view> names;
  for (const auto& e : header.entries) {
    order.push_back(&e);
    validate(names.insert(e.name).second, file, ": tensor '", e.name,
             "' stands twice in its header (the file is damaged); get it again");
  }
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) {
    return std::tie(a->begin, a->end) < std::tie(b->begin, b->end);
  });
  int64_t position = 0;
  for (const auto* e : order) {
    const int64_t bytes = bytes_of(*e);
    validate(bytes >= 0 && e->begin == position && e->end >= e->begin && e->end - e->begin == bytes,
             file, ": tensor '", e->name,
             "' has offsets that do not fit its shape (the file is damaged); get it again");
    position = e->end;
  }
  validate(position == data_bytes, file, ": holds ", data_bytes,
           " bytes of data where its header says ", position,
           " (the file was cut off or damaged); get it again");
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

const char* name_of(torch::Dtype dtype) {
  for (const auto& d : kDtypes)
    if (d.dtype == dtype) return d.name;
  throw std::logic_error("this dtype has no name in safetensors");
}

std::string header_of(const TensorFile& content) {
  std::string header = "{";
  if (!content.metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : content.metadata)
      header += quoted(key) + ":" + quoted(value) + ",";
    header.back() = '}';
    header += ',';
  }
  int64_t offset = 0;
  for (const auto& [name, tensor] : content.tensors) {
    header += quoted(name) + ":{\"dtype\":\"" + name_of(tensor.scalar_type()) + "\",\"shape\":[";
    for (const auto n : tensor.sizes()) header += std::to_string(n) + ",";
    if (tensor.dim() > 0) header.pop_back();
    const auto end = offset + static_cast<int64_t>(tensor.nbytes());
    header += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]},";
    offset = end;
  }
  if (header.size() > 1) header.pop_back();
  header += '}';
  while (header.size() % 8 != 0) header += ' ';
  return header;
}

std::ifstream opened(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  validate(in.good() && !fs::is_directory(file), file.string(), ": cannot be read (",
           in.good() ? "it is a folder" : std::strerror(errno), ")");
  return in;
}

struct Layout {
  Header header;
  int64_t data_start = 0;
};

Layout read_layout(std::istream& in, const std::string& name) {
  in.seekg(0, std::ios::end);
  const auto size = static_cast<int64_t>(in.tellg());
  in.seekg(0);
  uint64_t header_bytes = 0;
  in.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes);
  validate(in.good() && size >= 8 && header_bytes <= kLargestHeader &&
               static_cast<int64_t>(header_bytes) <= size - 8,
           name, ": is no safetensors file, or was cut off (", size,
           " bytes); get it again from where it came");
  std::string text(header_bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(header_bytes));
  Layout layout{HeaderParser(text, name).parse(), 8 + static_cast<int64_t>(header_bytes)};
  check_layout(layout.header, size - layout.data_start, name);
  return layout;
}

}  // namespace

bool TensorFile::contains(const std::string& name) const {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const auto& t) { return t.first == name; });
}

const torch::Tensor& TensorFile::at(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
    names.push_back(key);
  }
  throw Error(detail::concatenate("tensor '", name, "' is missing", suggestion(name, names)));
}

TensorFile read_safetensors(const fs::path& file) {
  auto in = opened(file);
  return read_safetensors(in, file.string());
}

TensorFile read_safetensors(std::istream& in, const std::string& name) {
  const Layout layout = read_layout(in, name);
  TensorFile content{{}, layout.header.metadata};
  for (const auto& e : layout.header.entries) {
    auto tensor = torch::empty(e.shape, e.dtype);
    in.seekg(layout.data_start + e.begin);
    in.read(static_cast<char*>(tensor.data_ptr()), e.end - e.begin);
    validate(in.good(), name, ": cannot be read to its end (", std::strerror(errno), ")");
    content.tensors.emplace_back(e.name, tensor);
  }
  return content;
}

TensorFile read_safetensors_header(const fs::path& file) {
  auto in = opened(file);
  const Layout layout = read_layout(in, file.string());
  TensorFile content{{}, layout.header.metadata};
  for (const auto& e : layout.header.entries)
    content.tensors.emplace_back(
        e.name, torch::empty(e.shape, torch::TensorOptions(e.dtype).device(torch::kMeta)));
  return content;
}

void write_safetensors(const fs::path& file, const TensorFile& content) {
  TensorFile ready{{}, content.metadata};
  for (const auto& [name, tensor] : content.tensors)
    ready.tensors.emplace_back(name, tensor.detach().to(torch::kCPU).contiguous());
  const std::string header = header_of(ready);
  const uint64_t header_bytes = header.size();
  publish_file(file, [&](const fs::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const auto& [name, tensor] : ready.tensors)
      out.write(static_cast<const char*>(tensor.data_ptr()),
                static_cast<std::streamsize>(tensor.nbytes()));
    out.close();
    validate(out.good(), file.string(), ": cannot be written (", std::strerror(errno),
             "); check the free space and the permissions of its folder");
  });
}

}  // namespace stylescope
