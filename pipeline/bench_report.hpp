#pragma once

#include "pipeline/launch.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// A column of the table; `key` is its name in JSON.
struct BenchColumn {
  std::string key, title, unit;
};

// A further table of a benchmark.
struct BenchTable {
  std::string key, title;  // in JSON, on paper
  std::vector<BenchColumn> columns;
  std::vector<nlohmann::ordered_json> rows;
};

// What a benchmark found: the same on every rank.
struct BenchReport {
  std::string name;
  nlohmann::ordered_json args;
  std::string precision;          // "": as the launch says
  nlohmann::ordered_json limits;  // of all ranks together, measured in this run
  std::vector<BenchColumn> columns;
  std::vector<nlohmann::ordered_json> rows;  // objects by column key; null: does not apply
  std::vector<BenchTable> more;
  std::vector<std::string> notes;

  // Wrong results of all rows (of further tables: of those that count them).
  int64_t wrong() const;
};

// "float32", "float64", "bfloat16", "float16".
const char* type_name(torch::Dtype type);

// A table as aligned columns with units, the title above it; and as {units (by column), rows}.
std::string to_text(const BenchTable& table);
nlohmann::ordered_json to_json(const BenchTable& table);

// One object: benchmark, args, version, revision, libraries, time, hosts, cpu, device, precision,
// threads (of a rank), ranks, limits, units (by column), rows, tables (further ones: units, rows),
// wrong. Collective.
nlohmann::ordered_json to_json(const BenchReport& report, const Launch& at);
// The same as aligned columns with units. `json`: what to_json gave.
std::string to_table(const BenchReport& report, const nlohmann::ordered_json& json);

}  // namespace stylescope
