#pragma once

#include "io/base/fields.hpp"

#include <string>
#include <vector>

namespace stylescope {

// The resolved configuration as YAML that parse_config reads back to the same values; with
// `comments`, help and ranges stand above the keys.
class YamlDumper final : public Fields {
 public:
  explicit YamlDumper(bool comments) : comments_(comments) {}
  const std::string& result() const { return text_; }

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

 protected:
  bool visits(const char*, bool held) override { return held; }
  void begin_section(const char* key, const char* help) override;
  void end_section() override;

 private:
  void line(const char* key, const std::string& value, const std::string& help);

  bool comments_;
  std::string indent_;
  std::string text_;
};

}  // namespace stylescope
