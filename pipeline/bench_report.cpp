#include "pipeline/bench_report.hpp"

#include "distributed/host.hpp"
#include "io/utc_time.hpp"
#include "pipeline/provenance.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

namespace stylescope {
namespace {

// Three significant digits, never an exponent.
std::string format_number(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  const int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string format_cell(const nlohmann::ordered_json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return format_number(value.get<double>());
  return value.dump();
}

std::string title_of(const BenchColumn& column) {
  return column.unit.empty() ? column.title : column.title + " [" + column.unit + "]";
}

// Text to the left, numbers to the right.
std::string aligned(const std::vector<std::vector<std::string>>& lines,
                    const std::vector<bool>& left) {
  std::vector<size_t> widths(left.size(), 0);
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string space(widths[i] - line[i].size(), ' ');
      row += (i ? "  " : "") + (left[i] ? line[i] + space : space + line[i]);
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string table_of(const std::vector<BenchColumn>& columns,
                     const std::vector<nlohmann::ordered_json>& rows) {
  std::vector<std::vector<std::string>> lines(1);
  std::vector<bool> left;
  for (const auto& column : columns) {
    lines[0].push_back(title_of(column));
    left.push_back(!rows.empty() && rows[0].at(column.key).is_string());
  }
  for (const auto& row : rows) {
    lines.emplace_back();
    for (const auto& column : columns) lines.back().push_back(format_cell(row.at(column.key)));
  }
  return aligned(lines, left);
}

nlohmann::ordered_json units_of(const std::vector<BenchColumn>& columns) {
  auto units = nlohmann::ordered_json::object();
  for (const auto& column : columns)
    if (!column.unit.empty()) units[column.key] = column.unit;
  return units;
}

std::string joined(const nlohmann::ordered_json& texts) {
  std::string all;
  for (const auto& text : texts) all += (all.empty() ? "" : ", ") + text.get<std::string>();
  return all;
}

}  // namespace

int64_t BenchReport::wrong() const {
  int64_t sum = 0;
  for (const auto& row : rows) sum += row.at("wrong").get<int64_t>();
  for (const auto& table : more)
    for (const auto& row : table.rows) sum += row.value("wrong", int64_t{0});
  return sum;
}

std::string to_text(const BenchTable& table) {
  return table.title + "\n" + table_of(table.columns, table.rows);
}

const char* type_name(torch::Dtype type) {
  if (type == torch::kBFloat16) return "bfloat16";
  if (type == torch::kFloat16) return "float16";
  return type == torch::kFloat64 ? "float64" : "float32";
}

nlohmann::ordered_json to_json(const BenchTable& table) {
  return {{"units", units_of(table.columns)}, {"rows", table.rows}};
}

nlohmann::ordered_json to_json(const BenchReport& report, const Launch& at) {
  std::set<std::string> hosts;
  for (const auto& host : at.world.all_gather(host_name())) hosts.insert(host);
  auto tables = nlohmann::ordered_json::object();
  for (const auto& table : report.more) tables[table.key] = to_json(table);
  return {{"benchmark", report.name},
          {"args", report.args},
          {"version", program_version()},
          {"revision", program_revision()},
          {"libraries", library_versions()},
          {"time", utc_time()},
          {"hosts", hosts},
          {"cpu", cpu_type()},
          {"device", at.device.str()},
          {"precision", report.precision.empty() ? type_name(at.dtype) : report.precision.c_str()},
          {"threads", at.threads},
          {"ranks", at.world.size()},
          {"limits", report.limits},
          {"units", units_of(report.columns)},
          {"rows", report.rows},
          {"tables", tables},
          {"notes", report.notes},
          {"wrong", report.wrong()}};
}

std::string to_table(const BenchReport& report, const nlohmann::ordered_json& json) {
  std::string text = "stylescope bench " + report.name;
  for (const auto& [key, value] : report.args.items()) text += " " + key + "=" + format_cell(value);
  text += "\n" + joined(json.at("hosts")) + " (" + json.at("cpu").get<std::string>() + "), " +
          json.at("device").get<std::string>() + ", " + json.at("precision").get<std::string>() +
          ", ranks " + json.at("ranks").dump() + " x threads " + json.at("threads").dump() +
          ", LibTorch " + json.at("libraries").at("LibTorch").get<std::string>() + "\n";
  for (const auto& [key, value] : report.limits.items())
    text += "limit: " + key + " " + format_cell(value) + "\n";
  text += "\n";

  text += table_of(report.columns, report.rows);
  for (const auto& table : report.more) text += "\n" + to_text(table);
  if (!report.more.empty()) text += "\n";
  for (const auto& note : report.notes) text += note + "\n";
  return text;
}

}  // namespace stylescope
