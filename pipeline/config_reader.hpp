#pragma once

#include "io/base/fields.hpp"
#include "pipeline/config_tree.hpp"

#include <string>
#include <vector>

namespace stylescope {

// Fills typed sections from a configuration as written. Keys that are not there leave the default.
// Throws UsageError, one line: "run.yaml:7: key 'gan.bacth' is unknown; did you mean 'gan.batch'?".
class ConfigReader final : public Fields {
 public:
  explicit ConfigReader(const ConfigNode& root);

  void field(const char* key, bool& value, const char* help) override;
  void field(const char* key, int64_t& value, IntRange range, const char* help) override;
  void field(const char* key, double& value, RealRange range, const char* help) override;
  void field(const char* key, std::string& value, const char* help) override;
  void field(const char* key, std::vector<int64_t>& value, IntRange range,
             const char* help) override;
  void field(const char* key, std::vector<double>& value, RealRange range,
             const char* help) override;
  void field(const char* key, std::vector<std::string>& value, const char* help) override;
  void choice(const char* key, std::string& value, std::initializer_list<const char*> allowed,
              const char* help) override;

  // After the last field: refuses the keys at the top that nobody asked for.
  void finish();

 protected:
  bool visits(const char* key, bool held) override;
  void begin_section(const char* key, const char* help) override;
  void end_section() override;

 private:
  struct Level {
    const ConfigNode* node;  // null: the section is not there
    std::string path;        // "" at the top
    std::vector<std::string> known;
  };
  const ConfigNode* find(const char* key);
  std::string path_of(const std::string& key) const;
  void refuse_unknown(const Level& level) const;

  std::vector<Level> levels_;
};

}  // namespace stylescope
