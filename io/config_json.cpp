#include "io/config_json.hpp"

namespace stylescope {

void JsonDumper::field(const char* key, bool& value, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::field(const char* key, int64_t& value, IntRange, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::field(const char* key, double& value, RealRange, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::field(const char* key, std::string& value, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::field(const char* key, std::vector<int64_t>& value, IntRange, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::field(const char* key, std::vector<double>& value, RealRange, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::field(const char* key, std::vector<std::string>& value, const char*) {
  (*levels_.back())[key] = value;
}
void JsonDumper::choice(const char* key, std::string& value, std::initializer_list<const char*>,
                        const char*) {
  (*levels_.back())[key] = value;
}

void JsonDumper::begin_section(const char* key, const char*) {
  auto& section = (*levels_.back())[key];
  section = nlohmann::ordered_json::object();
  levels_.push_back(&section);
}
void JsonDumper::end_section() { levels_.pop_back(); }

}  // namespace stylescope
