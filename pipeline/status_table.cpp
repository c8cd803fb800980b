#include "pipeline/status_table.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

using detail::concatenate;
using State = StageState;

constexpr size_t kColumns = 8;
using Line = std::array<std::string, kColumns>;

template <class... Values>
std::string printed(const char* format, Values... values) {
  char text[128];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string joined(const std::vector<std::string>& names, const char* between) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : between) + name;
  return text;
}

bool shows_progress(const StageStatus& row) {
  return row.progress && row.total > 0 && row.state != State::not_started &&
         row.state != State::waits;
}

std::string progress_words(const StageStatus& row) {
  if (row.state == State::done) return "100%";
  if (!shows_progress(row)) return "-";
  return printed("%.0f%%", std::floor(row.percent)) + concatenate(" ", row.step, "/", row.total);
}

// Three nodes, and how many more.
std::string nodes_words(const std::vector<std::string>& nodes) {
  constexpr size_t kShown = 3;
  if (nodes.empty()) return "-";
  if (nodes.size() <= kShown) return joined(nodes, ",");
  return joined({nodes.begin(), nodes.begin() + kShown}, ",") +
         concatenate("+", nodes.size() - kShown);
}

std::string note(const StageStatus& row) {
  std::string text = row.reason;
  if (!row.warning.empty()) text += (text.empty() ? "warning: " : "; warning: ") + row.warning;
  // A cause may be lines long; the row is one.
  std::ranges::replace(text, '\n', ' ');
  return text;
}

Line line_of(const StageStatus& row) {
  return {row.stage,
          name_of(row.state),
          progress_words(row),
          row.rate > 0 ? printed("%.1f %s/s", row.rate, row.unit.c_str()) : "-",
          row.state == State::running && row.seconds_left >= 0 && row.progress
              ? duration_words(row.seconds_left)
              : "-",
          nodes_words(row.nodes),
          std::to_string(row.restarts),
          note(row)};
}

// Where UTF-8 goes on from the byte before; cutting there would spoil a character.
bool goes_on(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

std::string cut(std::string line, size_t width) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  if (width == 0 || line.size() <= width || width < 4) return line;
  size_t end = width - 3;
  while (end > 0 && goes_on(line[end])) --end;
  return line.substr(0, end) + "...";
}

std::string ids(const std::vector<int64_t>& jobs) {
  std::string text;
  for (const auto id : jobs) text += concatenate(text.empty() ? "" : " ", id);
  return text;
}

nlohmann::json known(bool is, const nlohmann::json& value) {
  return is ? value : nlohmann::json(nullptr);
}

std::string with_stop(std::string sentence) {
  std::ranges::replace(sentence, '\n', ' ');
  if (!sentence.empty() && sentence.back() != '.') sentence += '.';
  return sentence;
}

}  // namespace

std::string duration_words(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (s >= 86400)
    return printed("%ldd%02ldh", static_cast<long>(s / 86400), static_cast<long>(s / 3600 % 24));
  if (s >= 3600)
    return printed("%ldh%02ldm", static_cast<long>(s / 3600), static_cast<long>(s / 60 % 60));
  return printed("%ldm%02lds", static_cast<long>(s / 60), static_cast<long>(s % 60));
}

std::string status_table(const std::vector<StageStatus>& rows, size_t width) {
  std::vector<Line> lines{
      {"stage", "state", "progress", "rate", "left", "nodes", "restarts", "remarks"}};
  for (const auto& row : rows) lines.push_back(line_of(row));
  std::array<size_t, kColumns> widths{};
  for (const auto& line : lines)
    for (size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], line[c].size());
  std::string text;
  for (const auto& line : lines) {
    std::string shown;
    for (size_t c = 0; c < kColumns; ++c) {
      shown += line[c];
      if (c + 1 < kColumns) shown.append(widths[c] - line[c].size() + 2, ' ');
    }
    text += cut(shown, width) + "\n";
  }
  return text;
}

std::vector<std::string> what_to_do(const std::vector<StageStatus>& rows,
                                    const std::string& run_dir, const std::string& start_again) {
  std::vector<std::string> sentences;
  bool again = false, goes_on_from = false;
  std::vector<std::string> blocked;
  for (const auto& row : rows) {
    const std::string reason = row.reason.empty() ? "" : ": " + row.reason;
    switch (row.state) {
      case State::failed:
        sentences.push_back(with_stop(row.stage + " failed" + reason) + " See stylescope logs " +
                            run_dir + " " + row.stage + ", and mend it first.");
        again = true;
        break;
      case State::stopped:
        sentences.push_back(with_stop(row.stage + " stopped" + reason));
        again = true;
        goes_on_from = goes_on_from || row.can_go_on;
        break;
      case State::held:
        sentences.push_back(
            with_stop(row.stage + " is held" + (row.reason == "held" ? "" : reason)) +
            " To let it go: scontrol release " + ids(row.jobs));
        break;
      case State::blocked:
        if (row.reason.starts_with("asks for"))
          sentences.push_back(with_stop(row.stage + " " + row.reason) + " Change slurm.stages." +
                              row.stage + " in the configuration; stylescope cancel " + run_dir +
                              " " + row.stage + ", and submit again.");
        else
          blocked.push_back(row.stage);
        break;
      default:
        break;
    }
  }
  if (!blocked.empty()) {
    sentences.push_back(joined(blocked, ", ") + " cannot start before that is mended.");
    again = true;
  }
  if (again)
    sentences.push_back("To start again what is not done: " + start_again +
                        (goes_on_from ? " (goes on from the last checkpoint)" : ""));
  return sentences;
}

nlohmann::ordered_json status_json(const std::vector<StageStatus>& rows) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    const bool progress = shows_progress(row);
    const bool done = row.state == State::done;
    std::string state = name_of(row.state);
    std::ranges::replace(state, ' ', '_');
    nlohmann::ordered_json object = {{"stage", row.stage}, {"state", state}};
    object["reason"] = known(!row.reason.empty(), row.reason);
    object["percent"] = known(progress || done, row.percent);
    object["step"] = known(progress, row.step);
    object["total"] = known(progress, row.total);
    object["rate"] = known(row.rate > 0, row.rate);
    object["unit"] = known(!row.unit.empty(), row.unit);
    object["seconds_left"] = known(progress && row.seconds_left >= 0, row.seconds_left);
    object["nodes"] = joined(row.nodes, ",");
    object["restarts"] = row.restarts;
    object["shares_done"] = known(row.shares > 0, row.shares_done);
    object["shares"] = known(row.shares > 0, row.shares);
    object["warning"] = known(!row.warning.empty(), row.warning);
    object["jobs"] = row.jobs;
    all.push_back(object);
  }
  return all;
}

}  // namespace stylescope
