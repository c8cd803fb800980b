#include "pipeline/config_reader.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace stylescope {
namespace {

using Kind = ConfigNode::Kind;

template <class... Parts>
[[noreturn]] void refuse(const ConfigNode& node, const std::string& path, Parts&&... parts) {
  throw UsageError(
      detail::concatenate(node.where, ": key '", path, "' ", std::forward<Parts>(parts)...));
}

std::string described(const ConfigNode& node) {
  switch (node.kind) {
    case Kind::empty:
      return "empty";
    case Kind::list:
      return "a list";
    case Kind::section:
      return "a section";
    case Kind::scalar:
      break;
  }
  return node.quoted ? "the text \"" + node.text + "\"" : "'" + node.text + "'";
}

template <class Number>
std::optional<Number> parsed(const ConfigNode& node) {
  if (node.kind != Kind::scalar || node.quoted) return std::nullopt;
  // from_chars knows no leading plus sign.
  const char* first = node.text.data() + (node.text.starts_with('+') ? 1 : 0);
  const char* last = node.text.data() + node.text.size();
  Number number{};
  const auto [end, error] = std::from_chars(first, last, number);
  if (error != std::errc{} || end != last) return std::nullopt;
  return number;
}

template <class Number>
std::string bounds(Number min, Number max, Number lowest, Number highest) {
  if (min != lowest && max != highest) return detail::concatenate(" from ", min, " to ", max);
  if (min != lowest) return detail::concatenate(" of at least ", min);
  if (max != highest) return detail::concatenate(" of at most ", max);
  return "";
}

int64_t integer(const ConfigNode& node, const std::string& path, IntRange range) {
  const std::string wanted =
      "a whole number" + bounds(range.min, range.max, IntRange{}.min, IntRange{}.max);
  const auto number = parsed<int64_t>(node);
  if (!number) refuse(node, path, "must be ", wanted, ", but is ", described(node));
  if (*number < range.min || *number > range.max)
    refuse(node, path, "is out of range: ", *number, " is not ", wanted);
  return *number;
}

double real(const ConfigNode& node, const std::string& path, RealRange range) {
  const std::string wanted =
      "a number" + bounds(range.min, range.max, RealRange{}.min, RealRange{}.max);
  const auto number = parsed<double>(node);
  if (!number || !std::isfinite(*number))
    refuse(node, path, "must be ", wanted, ", but is ", described(node));
  if (*number < range.min || *number > range.max)
    refuse(node, path, "is out of range: ", *number, " is not ", wanted);
  return *number;
}

std::string words(const ConfigNode& node, const std::string& path) {
  if (node.kind != Kind::scalar)
    refuse(node, path, "must be a text, but is ", described(node),
           node.kind == Kind::empty ? "; write '' for no text" : "");
  return node.text;
}

const std::vector<ConfigNode>& items(const ConfigNode& node, const std::string& path) {
  if (node.kind != Kind::list)
    refuse(node, path, "must be a list such as [a, b], but is ", described(node),
           node.kind == Kind::empty ? "; write []" : "");
  return node.items;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

ConfigReader::ConfigReader(const ConfigNode& root) { levels_.push_back({&root, "", {}}); }

std::string ConfigReader::path_of(const std::string& key) const {
  const std::string& path = levels_.back().path;
  return path.empty() ? key : path + "." + key;
}

const ConfigNode* ConfigReader::find(const char* key) {
  auto& level = levels_.back();
  level.known.emplace_back(key);
  return level.node ? level.node->find(key) : nullptr;
}

void ConfigReader::field(const char* key, bool& value, const char*) {
  const auto* node = find(key);
  if (!node) return;
  const bool plain = node->kind == Kind::scalar && !node->quoted;
  if (!plain || (node->text != "true" && node->text != "false"))
    refuse(*node, path_of(key), "must be true or false, but is ", described(*node));
  value = node->text == "true";
}

void ConfigReader::field(const char* key, int64_t& value, IntRange range, const char*) {
  if (const auto* node = find(key)) value = integer(*node, path_of(key), range);
}

void ConfigReader::field(const char* key, double& value, RealRange range, const char*) {
  if (const auto* node = find(key)) value = real(*node, path_of(key), range);
}

void ConfigReader::field(const char* key, std::string& value, const char*) {
  if (const auto* node = find(key)) value = words(*node, path_of(key));
}

void ConfigReader::field(const char* key, std::vector<int64_t>& value, IntRange range,
                         const char*) {
  const auto* node = find(key);
  if (!node) return;
  value.clear();
  for (const auto& item : items(*node, path_of(key)))
    value.push_back(integer(item, path_of(key), range));
}

void ConfigReader::field(const char* key, std::vector<double>& value, RealRange range,
                         const char*) {
  const auto* node = find(key);
  if (!node) return;
  value.clear();
  for (const auto& item : items(*node, path_of(key)))
    value.push_back(real(item, path_of(key), range));
}

void ConfigReader::field(const char* key, std::vector<std::string>& value, const char*) {
  const auto* node = find(key);
  if (!node) return;
  value.clear();
  for (const auto& item : items(*node, path_of(key))) value.push_back(words(item, path_of(key)));
}

void ConfigReader::choice(const char* key, std::string& value,
                          std::initializer_list<const char*> allowed, const char*) {
  const auto* node = find(key);
  if (!node) return;
  const std::vector<std::string> names(allowed.begin(), allowed.end());
  const bool known = node->kind == Kind::scalar &&
                     std::find(names.begin(), names.end(), node->text) != names.end();
  if (!known)
    refuse(*node, path_of(key), "must be one of ", listed(names), ", but is ", described(*node),
           suggestion(node->text, names));
  value = node->text;
}

bool ConfigReader::visits(const char* key, bool) {
  // begin_section notes the key where it is there; where not, a typing error should be told of it.
  const auto& level = levels_.back();
  const bool there = level.node && level.node->find(key);
  if (!there) levels_.back().known.emplace_back(key);
  return there;
}

void ConfigReader::begin_section(const char* key, const char*) {
  const auto* node = find(key);
  if (node && node->kind != Kind::section && node->kind != Kind::empty)
    refuse(*node, path_of(key), "must be a section (indented keys below it), but is ",
           described(*node));
  std::string path = path_of(key);
  levels_.push_back({node, std::move(path), {}});
}

void ConfigReader::end_section() {
  refuse_unknown(levels_.back());
  levels_.pop_back();
}

void ConfigReader::finish() {
  SS_CHECK(levels_.size() == 1);
  refuse_unknown(levels_.back());
}

void ConfigReader::refuse_unknown(const Level& level) const {
  if (!level.node) return;
  const auto full = [&](const std::string& key) {
    return level.path.empty() ? key : level.path + "." + key;
  };
  for (const auto& key : level.node->keys) {
    if (std::find(level.known.begin(), level.known.end(), key) != level.known.end()) continue;
    const ConfigNode& node = *level.node->find(key);
    const std::string near = nearest(key, level.known);
    if (!near.empty()) refuse(node, full(key), "is unknown; did you mean '", full(near), "'?");
    refuse(node, full(key), "is unknown; valid ",
           level.path.empty() ? "" : "in '" + level.path + "' ", "are ", listed(level.known));
  }
}

}  // namespace stylescope
