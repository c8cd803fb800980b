#include "pipeline/config_tree.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <yaml-cpp/yaml.h>

namespace stylescope {
namespace {

template <class... Parts>
[[noreturn]] void refuse(Parts&&... parts) {
  throw UsageError(detail::concatenate(std::forward<Parts>(parts)...));
}

std::string place(const std::string& file, const YAML::Mark& mark) {
  return mark.is_null() ? file : file + ":" + std::to_string(mark.line + 1);
}

void refuse_tabs(const std::string& text, const std::string& file) {
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto first = line.find_first_not_of(' ');
    if (first != std::string::npos && line[first] == '\t')
      refuse(file, ":", number,
             ": a tab in the indentation (YAML allows only spaces there); replace it by spaces");
  }
}

// `where` gives the place of a node; --set gives the same for all.
template <class Where>
ConfigNode convert(const YAML::Node& yaml, const std::string& path, const std::string& here,
                   const Where& where) {
  ConfigNode node;
  node.where = here;
  const std::string& tag = yaml.Tag();
  if (!tag.empty() && tag != "?" && tag != "!")
    refuse(here, ": key '", path, "' has the tag '", tag, "' (tags mean nothing here); remove it");
  switch (yaml.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      break;
    case YAML::NodeType::Scalar:
      node.kind = ConfigNode::Kind::scalar;
      node.text = yaml.Scalar();
      node.quoted = tag == "!";
      break;
    case YAML::NodeType::Sequence:
      node.kind = ConfigNode::Kind::list;
      for (const auto& item : yaml) node.items.push_back(convert(item, path, here, where));
      break;
    case YAML::NodeType::Map:
      node.kind = ConfigNode::Kind::section;
      for (const auto& entry : yaml) {
        const std::string at = where(entry.first);
        if (!entry.first.IsScalar()) refuse(at, ": a key must be a single word");
        const std::string& key = entry.first.Scalar();
        const std::string full = path.empty() ? key : path + "." + key;
        if (key == "<<")
          refuse(at, ": key '", full, "': merge keys are not supported; write the keys out");
        if (const ConfigNode* first = node.find(key))
          refuse(at, ": key '", full, "' is given twice (first at ", first->where, "); keep one");
        node.add(key, convert(entry.second, full, at, where));
      }
      break;
  }
  return node;
}

}  // namespace

const ConfigNode* ConfigNode::find(const std::string& key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

ConfigNode* ConfigNode::find(const std::string& key) {
  return const_cast<ConfigNode*>(std::as_const(*this).find(key));
}

ConfigNode& ConfigNode::add(const std::string& key, ConfigNode node) {
  keys.push_back(key);
  items.push_back(std::move(node));
  return items.back();
}

ConfigNode parse_config(const std::string& text, const std::string& file) {
  refuse_tabs(text, file);
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(text);
  } catch (const YAML::Exception& error) {
    refuse(place(file, error.mark), ": this is no YAML (", error.msg, ")");
  }
  if (documents.size() > 1)
    refuse(file, ": holds ", documents.size(), " YAML documents; one is expected (remove '---')");
  ConfigNode root;
  if (!documents.empty()) {
    const YAML::Node& document = documents.front();
    root = convert(document, "", place(file, document.Mark()),
                   [&](const YAML::Node& node) { return place(file, node.Mark()); });
  }
  if (root.kind == ConfigNode::Kind::empty) {
    root.kind = ConfigNode::Kind::section;
    root.where = file;
  }
  if (root.kind != ConfigNode::Kind::section)
    refuse(root.where, ": a configuration is made of lines 'key: value'");
  return root;
}

void apply_override(ConfigNode& root, const std::string& assignment) {
  const std::string here = "--set " + assignment;
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    refuse(here, ": is no assignment; write --set section.key=value");
  const std::string path = assignment.substr(0, equals);
  const std::string text = assignment.substr(equals + 1);

  ConfigNode value;
  try {
    value = convert(YAML::Load(text), path, here, [&](const YAML::Node&) { return here; });
  } catch (const YAML::Exception& error) {
    refuse(here, ": the value is no YAML (", error.msg, ")");
  }
  if (text.empty()) {  // no text, where YAML would say no value
    value.kind = ConfigNode::Kind::scalar;
    value.quoted = true;
  }

  ConfigNode* node = &root;
  std::istringstream parts(path);
  std::string passed;
  for (std::string part; std::getline(parts, part, '.');) {
    if (part.empty())
      refuse(here, ": '", path, "' has an empty part; write --set section.key=value");
    if (node->kind == ConfigNode::Kind::empty) node->kind = ConfigNode::Kind::section;
    if (node->kind != ConfigNode::Kind::section) refuse(here, ": key '", passed, "' is no section");
    passed += (passed.empty() ? "" : ".") + part;
    ConfigNode* next = node->find(part);
    node = next ? next
                : &node->add(part, ConfigNode{ConfigNode::Kind::empty, "", false, here, {}, {}});
  }
  *node = std::move(value);
}

}  // namespace stylescope
