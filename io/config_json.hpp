#pragma once

#include "io/base/fields.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// A section of the configuration as JSON, keys in the order of description.
class JsonDumper final : public Fields {
 public:
  JsonDumper() : levels_{&root_} {}
  const nlohmann::ordered_json& result() const { return root_; }

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
  nlohmann::ordered_json root_ = nlohmann::ordered_json::object();
  std::vector<nlohmann::ordered_json*> levels_;
};

}  // namespace stylescope
