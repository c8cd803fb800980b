#include "pipeline/sweep_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

using nlohmann::json;
using Cells = std::vector<std::string>;

struct Figure {
  const char* stage;
  const char* metric;
  const char* title;
};

constexpr std::array<Figure, 10> kFigures{{
    {"evaluate", "auc_f", "AUC f"},
    {"evaluate", "auc_surrogate", "AUC surrogate"},
    {"evaluate", "auc_surrogate_f_label", "AUC surrogate, f's label"},
    {"evaluate", "same_answer_f_surrogate", "same answer"},
    {"evaluate", "reconstruction_mean_absolute_error", "reconstruction error"},
    {"evaluate", "strips_rising", "strips rising"},
    {"evaluate", "phantom_ratio", "phantom ratio"},
    {"direction", "held_out_auc", "direction AUC"},
    {"encoder", "r2", "encoder R2"},
    {"classifier", "val_auc", "classifier AUC"},
}};

bool is_number(const json& value) { return value.is_number() || value.is_boolean(); }

const json* figure_of(const SweepResult& result, const Figure& figure) {
  const auto stage = result.all_metrics.find(figure.stage);
  if (stage == result.all_metrics.end() || !stage->second.is_object()) return nullptr;
  const auto found = stage->second.find(figure.metric);
  return found != stage->second.end() && is_number(*found) ? &*found : nullptr;
}

double number_of(const json& value) {
  return value.is_boolean() ? (value.get<bool>() ? 1.0 : 0.0) : value.get<double>();
}

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

// All digits.
std::string exact(const json& value) {
  if (value.is_number_integer()) return value.dump();
  const double number = number_of(value);
  if (!std::isfinite(number)) return "";
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, number).ptr);
}

// The swept keys of all runs, in the order in which they come up.
Cells keys_of(const std::vector<SweepResult>& results) {
  Cells keys;
  for (const auto& result : results)
    for (const auto& [key, value] : result.point.values)
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  return keys;
}

std::string value_of(const SweepPoint& point, const std::string& key, const char* otherwise) {
  for (const auto& [known, value] : point.values)
    if (known == key) return value;
  return otherwise;
}

// Numbers of objects in objects too: "gan.loss.last".
void collect(const std::string& path, const json& value, std::map<std::string, json>& numbers) {
  if (is_number(value)) numbers[path] = value;
  if (!value.is_object()) return;
  for (const auto& [key, item] : value.items()) collect(path + "." + key, item, numbers);
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + "\"";
}

std::string csv_line(const Cells& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + quoted(cells[i]);
  return line + "\n";
}

std::string aligned(const std::vector<Cells>& lines) {
  std::vector<size_t> widths(lines.front().size());
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i)
      row += line[i] + std::string(widths[i] - line[i].size() + 2, ' ');
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

}  // namespace

std::string sweep_state(const std::vector<StageStatus>& rows) {
  using State = StageState;
  // What is blocked is so because of another, which is named where it is in the run.
  for (const auto state : {State::failed, State::stopped, State::held, State::blocked})
    if (const auto found = std::ranges::find(rows, state, &StageStatus::state);
        found != rows.end()) {
      const bool failed = state == State::failed || state == State::blocked;
      return (failed ? "failed (" : "stopped (") + found->stage + ")";
    }
  if (std::ranges::all_of(rows, [](const auto& row) { return row.state == State::done; }))
    return "done";
  return std::ranges::any_of(rows, [](const auto& row) { return under_way(row.state); })
             ? "at work"
             : "waiting";
}

std::string sweep_table(const std::vector<SweepResult>& results) {
  const Cells keys = keys_of(results);
  std::vector<Figure> shown;
  for (const auto& figure : kFigures)
    if (std::ranges::any_of(results, [&](const auto& r) { return figure_of(r, figure); }))
      shown.push_back(figure);
  std::vector<Cells> lines(1, keys);
  lines[0].push_back("state");
  for (const auto& figure : shown) lines[0].push_back(figure.title);
  for (const auto& result : results) {
    Cells line;
    for (const auto& key : keys) line.push_back(value_of(result.point, key, "-"));
    line.push_back(result.state);
    for (const auto& figure : shown) {
      const json* value = figure_of(result, figure);
      line.push_back(value ? rounded(number_of(*value)) : "-");
    }
    lines.push_back(std::move(line));
  }
  return aligned(lines);
}

std::string sweep_csv(const std::vector<SweepResult>& results) {
  const Cells keys = keys_of(results);
  std::vector<std::map<std::string, json>> numbers(results.size());
  std::map<std::string, json> columns;
  for (size_t i = 0; i < results.size(); ++i) {
    for (const auto& [stage, metrics] : results[i].metrics) collect(stage, metrics, numbers[i]);
    columns.insert(numbers[i].begin(), numbers[i].end());
  }
  Cells head{"run"};
  head.insert(head.end(), keys.begin(), keys.end());
  head.push_back("state");
  for (const auto& [column, value] : columns) head.push_back(column);
  std::string text = csv_line(head);
  for (size_t i = 0; i < results.size(); ++i) {
    Cells line{results[i].point.slug};
    for (const auto& key : keys) line.push_back(value_of(results[i].point, key, ""));
    line.push_back(results[i].state);
    for (const auto& [column, value] : columns) {
      const auto found = numbers[i].find(column);
      line.push_back(found == numbers[i].end() ? "" : exact(found->second));
    }
    text += csv_line(line);
  }
  return text;
}

}  // namespace stylescope
