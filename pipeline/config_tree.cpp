#include "pipeline/config_tree.hpp"

#include "io/base/error.hpp"
#include "pipeline/config_text.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
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

// Where documents begin, and nothing else of them.
class DocumentStarts final : public YAML::EventHandler {
 public:
  std::vector<YAML::Mark> starts;

  void OnDocumentStart(const YAML::Mark& mark) override { starts.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// The one document of a text. YAML::LoadAll() would find others too, and never come to an end on
// texts such as ", a" (yaml-cpp 0.7: nobody takes the comma, and the next document begins there).
YAML::Node load_document(const std::string& text, const std::string& file) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  DocumentStarts documents;
  if (parser.HandleNextDocument(documents) && parser.HandleNextDocument(documents)) {
    const auto& first = documents.starts.front();
    const auto& second = documents.starts.back();
    if (first.pos == second.pos)
      refuse(place(file, first), ": this is no YAML (no value can begin so)");
    refuse(place(file, second),
           ": a second YAML document begins here; one is expected (remove '---')");
  }
  return YAML::Load(text);
}

// Aliases are copied: a few lines of aliases of aliases would fill any memory, and one that refers
// to itself any stack.
constexpr int kDeepest = 32;
constexpr int kMostValues = 20'000;

// `where` gives the place of a node; --set gives the same for all.
template <class Where>
class Converter {
 public:
  explicit Converter(const Where& where) : where_(where) {}

  ConfigNode convert(const YAML::Node& yaml, const std::string& path, const std::string& here) {
    const Level level(depth_);
    if (depth_ > kDeepest)
      refuse(here, ": key '", shortened(path), "' is nested deeper than ", kDeepest,
             " levels (does an alias refer to itself?); no key of a configuration is");
    if (++values_ > kMostValues)
      refuse(here, ": more than ", kMostValues, " values, those of aliases counted each time they ",
             "are used; no configuration has so many");
    ConfigNode node;
    node.where = here;
    const std::string& tag = yaml.Tag();
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(here, ": key '", path, "' has the tag '", tag,
             "' (tags mean nothing here); remove it");
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
        for (const auto& item : yaml) node.items.push_back(convert(item, path, here));
        break;
      case YAML::NodeType::Map:
        node.kind = ConfigNode::Kind::section;
        for (const auto& entry : yaml) convert_entry(node, entry.first, entry.second, path);
        break;
    }
    return node;
  }

 private:
  struct Level {
    explicit Level(int& depth) : depth_(++depth) {}
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int& depth_;
  };

  static std::string shortened(const std::string& path) {
    return path.size() > 40 ? path.substr(0, 40) + "..." : path;
  }

  void convert_entry(ConfigNode& node, const YAML::Node& name, const YAML::Node& value,
                     const std::string& path) {
    const std::string at = where_(name);
    if (!name.IsScalar()) refuse(at, ": a key must be a single word");
    const std::string& key = name.Scalar();
    const std::string full = path.empty() ? key : path + "." + key;
    if (key == "<<")
      refuse(at, ": key '", full, "': merge keys are not supported; write the keys out");
    if (const ConfigNode* first = node.find(key))
      refuse(at, ": key '", full, "' is given twice (first at ", first->where, "); keep one");
    node.add(key, convert(value, full, at));
  }

  const Where& where_;
  int depth_ = 0, values_ = 0;
};

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
  check_config_text(text, file);
  refuse_tabs(text, file);
  YAML::Node document;
  try {
    document = load_document(text, file);
  } catch (const YAML::Exception& error) {
    refuse(place(file, error.mark), ": this is no YAML (", error.msg, ")");
  }
  const auto where = [&](const YAML::Node& node) { return place(file, node.Mark()); };
  ConfigNode root = Converter(where).convert(document, "", place(file, document.Mark()));
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
    const auto where = [&](const YAML::Node&) { return here; };
    value = Converter(where).convert(YAML::Load(text), path, here);
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
