#include "pipeline/config_dump.hpp"

#include "io/base/error.hpp"

#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

namespace stylescope {
namespace {

std::string shown(bool value) { return value ? "true" : "false"; }
std::string shown(int64_t value) { return std::to_string(value); }

// The shortest text that reads back to the same bits.
std::string shown(double value) {
  SS_CHECK(std::isfinite(value));
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

std::string shown(const std::string& value) {
  const bool plain = !value.empty() && std::isalpha(static_cast<unsigned char>(value.front())) &&
                     value.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") ==
                         std::string::npos &&
                     value != "null" && value != "Null" && value != "NULL";
  return plain ? value : nlohmann::json(value).dump();  // a JSON text is a YAML text
}

template <class Item>
std::string shown(const std::vector<Item>& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ", ") + shown(value);
  return "[" + text + "]";
}

template <class Number, class Range>
std::string with_range(const char* help, const Range& range) {
  const Range open;
  const bool low = range.min != open.min, high = range.max != open.max;
  if (low && high)
    return std::string(help) + " [" + shown(Number{range.min}) + " to " + shown(Number{range.max}) +
           "]";
  if (low) return std::string(help) + " [at least " + shown(Number{range.min}) + "]";
  if (high) return std::string(help) + " [at most " + shown(Number{range.max}) + "]";
  return help;
}

}  // namespace

void YamlDumper::line(const char* key, const std::string& value, const std::string& help) {
  if (comments_ && !help.empty()) text_ += indent_ + "# " + help + "\n";
  text_ += indent_ + key + ":" + (value.empty() ? "" : " " + value) + "\n";
}

void YamlDumper::field(const char* key, bool& value, const char* help) {
  line(key, shown(value), help);
}
void YamlDumper::field(const char* key, int64_t& value, IntRange range, const char* help) {
  line(key, shown(value), with_range<int64_t>(help, range));
}
void YamlDumper::field(const char* key, double& value, RealRange range, const char* help) {
  line(key, shown(value), with_range<double>(help, range));
}
void YamlDumper::field(const char* key, std::string& value, const char* help) {
  line(key, shown(value), help);
}
void YamlDumper::field(const char* key, std::vector<int64_t>& value, IntRange range,
                       const char* help) {
  line(key, shown(value), with_range<int64_t>(help, range));
}
void YamlDumper::field(const char* key, std::vector<double>& value, RealRange range,
                       const char* help) {
  line(key, shown(value), with_range<double>(help, range));
}
void YamlDumper::field(const char* key, std::vector<std::string>& value, const char* help) {
  line(key, shown(value), help);
}
void YamlDumper::choice(const char* key, std::string& value,
                        std::initializer_list<const char*> allowed, const char* help) {
  std::string names;
  for (const char* name : allowed) names += (names.empty() ? "" : " | ") + std::string(name);
  line(key, shown(value), std::string(help) + " [" + names + "]");
}

void YamlDumper::begin_section(const char* key, const char* help) {
  if (indent_.empty() && !text_.empty()) text_ += "\n";
  line(key, "", help);
  indent_ += "  ";
}
void YamlDumper::end_section() { indent_.resize(indent_.size() - 2); }

}  // namespace stylescope
