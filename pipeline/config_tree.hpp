#pragma once

#include <string>
#include <vector>

// A configuration as it was written: every value knows its place, so that whatever is wrong with it
// can be said with file and line. yaml-cpp stays behind parse_config.
namespace stylescope {

struct ConfigNode {
  enum class Kind { empty, scalar, list, section };
  Kind kind = Kind::empty;
  std::string text;               // scalar
  bool quoted = false;            // scalar: written in quotation marks, so it is a text
  std::string where;              // "run.yaml:12" or "--set gan.batch=8"
  std::vector<std::string> keys;  // section, in file order
  std::vector<ConfigNode> items;  // of a list, or one for each key

  // nullptr where there is no such key.
  const ConfigNode* find(const std::string& key) const;
  ConfigNode* find(const std::string& key);
  ConfigNode& add(const std::string& key, ConfigNode node);
};

// `file` is the name for messages. Throws UsageError "file:line: ..." for what is no UTF-8 text of
// at most 1 MB, no YAML, tabs in the indentation, a key given twice, several documents, merge keys
// ('<<'), tags, and more levels or values than any configuration has; anchors and aliases work.
ConfigNode parse_config(const std::string& text, const std::string& file);

// "a.b=v" replaces or adds a key; v is read as YAML. Throws UsageError.
void apply_override(ConfigNode& root, const std::string& assignment);

}  // namespace stylescope
