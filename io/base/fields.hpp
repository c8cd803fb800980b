#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <vector>

// A configuration section is a plain struct with defaults and one function that names its fields.
// Reading YAML, printing the resolved configuration and --dump-default are three implementations of
// Fields, so that a key is declared once:
//
//   struct GanConfig {
//     int64_t batch = 32;
//     void describe(Fields& f) { f.field("batch", batch, {1, 65536}, "images a step, all ranks
//     together"); }
//   };
namespace stylescope {

struct IntRange {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};
struct RealRange {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
};

class Fields {
 public:
  virtual ~Fields() = default;
  virtual void field(const char* key, bool& value, const char* help) = 0;
  virtual void field(const char* key, int64_t& value, IntRange range, const char* help) = 0;
  virtual void field(const char* key, double& value, RealRange range, const char* help) = 0;
  virtual void field(const char* key, std::string& value, const char* help) = 0;
  virtual void field(const char* key, std::vector<int64_t>& value, IntRange range,
                     const char* help) = 0;
  virtual void field(const char* key, std::vector<double>& value, RealRange range,
                     const char* help) = 0;
  virtual void field(const char* key, std::vector<std::string>& value, const char* help) = 0;
  virtual void choice(const char* key, std::string& value,
                      std::initializer_list<const char*> allowed, const char* help) = 0;

  template <class Section>
  void section(const char* key, Section& section, const char* help) {
    begin_section(key, help);
    section.describe(*this);
    end_section();
  }

  // Sections by name, of which only some are there: read where they are written, dumped where the
  // map holds them.
  template <class Section>
  void sections(const char* key, std::map<std::string, Section>& sections,
                const std::vector<std::string>& names, const char* help) {
    begin_section(key, help);
    for (const auto& name : names)
      if (visits(name.c_str(), sections.contains(name))) section(name.c_str(), sections[name], "");
    end_section();
  }

 protected:
  // Is there such a section? `held`: by the map that is described.
  virtual bool visits(const char* key, bool held) = 0;
  virtual void begin_section(const char* key, const char* help) = 0;
  virtual void end_section() = 0;
};

}  // namespace stylescope
