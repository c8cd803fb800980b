#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

// The parts of ingest's configuration that are about tables and knees.
namespace stylescope {

struct TableConfig {
  std::string file;
  std::string separator = "auto";  // auto | comma | semicolon | tab | pipe
  std::vector<std::string> attributes;
  void describe(Fields& f);
};

// Who read which knee, and what the grade was. Columns by their names in any case; '*' stands for
// any letters.
struct ReadingsConfig {
  std::vector<std::string> files;
  std::vector<int64_t> visits;  // months after the first visit, of each file
  std::string separator = "auto";
  std::string subject = "subject";
  std::string side = "side";
  std::string visit = "visit_months";
  std::string reader = "reader";
  std::string grade = "grade";
  std::string duplicates = "drop";  // drop | first | median | highest | preferred
  std::vector<std::string> readers;

  bool on() const { return !files.empty(); }
  void describe(Fields& f);
};

struct KneesConfig {
  std::string bilateral = "none";  // none | split | boxes
  std::string boxes;
  std::string image_left = "right";  // the knee on a bilateral film's left: right | left
  std::string mirror = "none";       // none | left | right
  std::string side_regex;
  std::string right_code, left_code;
  ReadingsConfig readings;

  bool cuts() const { return bilateral != "none"; }
  bool mirrors() const { return mirror != "none"; }
  void describe(Fields& f);
  // Throws UsageError naming the key.
  void check(const std::string& source) const;
};

}  // namespace stylescope
