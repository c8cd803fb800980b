#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

// As much of protobuf's wire format as the event files of TensorBoard need: messages are built by
// appending fields to a string.
namespace stylescope::protobuf {

static_assert(std::endian::native == std::endian::little);  // as on the wire

enum class Wire : uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

inline void append_varint(std::string& message, uint64_t value) {
  for (; value >= 0x80; value >>= 7) message += static_cast<char>(value | 0x80);
  message += static_cast<char>(value);
}

inline void append_tag(std::string& message, uint64_t field, Wire wire) {
  append_varint(message, field << 3 | static_cast<uint64_t>(wire));
}

template <class Number>
void append_raw(std::string& message, Number number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  message.append(bytes, sizeof number);
}

// int64 and int32 fields (negative numbers take ten bytes).
inline void append(std::string& message, uint64_t field, int64_t value) {
  append_tag(message, field, Wire::varint);
  append_varint(message, static_cast<uint64_t>(value));
}
inline void append(std::string& message, uint64_t field, double value) {
  append_tag(message, field, Wire::fixed64);
  append_raw(message, value);
}
inline void append(std::string& message, uint64_t field, float value) {
  append_tag(message, field, Wire::fixed32);
  append_raw(message, value);
}
// Strings, bytes, and messages within messages.
inline void append(std::string& message, uint64_t field, std::string_view bytes) {
  append_tag(message, field, Wire::bytes);
  append_varint(message, bytes.size());
  message += bytes;
}

// Takes a varint off the front of `rest`; nothing where there is none.
inline std::optional<uint64_t> take_varint(std::string_view& rest) {
  uint64_t value = 0;
  for (size_t i = 0; i < rest.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(rest[i]);
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      rest.remove_prefix(i + 1);
      return value;
    }
  }
  return {};
}

// Calls visit(field, wire, varint, bytes) for each field of a message: the number of a varint
// field, the raw bytes of the others. False where the message is damaged.
template <class Visit>
bool for_each_field(std::string_view message, const Visit& visit) {
  while (!message.empty()) {
    const auto tag = take_varint(message);
    if (!tag) return false;
    const auto wire = static_cast<Wire>(*tag & 7);
    std::optional<uint64_t> number = wire == Wire::fixed64   ? 8
                                     : wire == Wire::fixed32 ? 4
                                                             : take_varint(message);
    if (!number || static_cast<uint64_t>(wire) > 5) return false;
    std::string_view bytes;
    if (wire != Wire::varint) {
      if (*number > message.size()) return false;
      bytes = message.substr(0, *number);
      message.remove_prefix(*number);
    }
    visit(*tag >> 3, wire, *number, bytes);
  }
  return true;
}

}  // namespace stylescope::protobuf
