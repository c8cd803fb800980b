#include "io/base/error.hpp"
#include "pipeline/estimate.hpp"

#include <algorithm>
#include <array>

namespace stylescope {
namespace {

using detail::concatenate;

constexpr size_t kColumns = 8;
using Line = std::array<std::string, kColumns>;

std::string at_most(bool bound, const std::string& text) { return (bound ? "<= " : "") + text; }

// Of a time, or of what follows from it.
std::string marked(const StageEstimate& stage, const std::string& text) {
  const bool both = stage.at_most && stage.at_least;
  const char* sign = both || stage.rough() ? "~" : "";
  return (both || (!stage.at_most && !stage.at_least) ? ""
          : stage.at_most                             ? "<= "
                                                      : ">= ") +
         (sign + text);
}

// Bytes of a stage that stay, or that it needs for a while.
struct Bytes {
  double sum = 0;
  bool at_most = false, unknown = false;
  void add(const std::vector<DiskItem>& items, bool passing) {
    for (const auto& item : items) {
      if (item.passing != passing) continue;
      sum += item.bytes.value.value_or(0);
      at_most = at_most || item.bytes.at_most;
      unknown = unknown || !item.bytes.value;
    }
  }
  std::string words() const {
    if (unknown) return sum > 0 ? bytes_words(sum) + " + ?" : "?";
    return sum > 0 ? stylescope::at_most(at_most, bytes_words(sum)) : "-";
  }
};

std::string stage_bytes(const StageEstimate& stage, bool passing) {
  Bytes bytes;
  bytes.add(stage.disk, passing);
  return bytes.words();
}

Line line_of(const StageEstimate& stage) {
  const auto& amount = stage.work.amount;
  const int64_t shares = std::max<int64_t>(stage.job.shares, 1);
  const auto gpu_hours = stage.gpu_hours();
  return {
      stage.stage,
      amount.value ? at_most(amount.at_most, amount_words(*amount.value, stage.work.unit)) : "?",
      number_words(static_cast<double>(stage.job.ranks * shares)),
      number_words(static_cast<double>(stage.job.gpus * shares)),
      stage.seconds ? marked(stage, time_words(*stage.seconds)) : "?",
      stage.job.gpus == 0 ? "-"
      : gpu_hours
          ? marked(stage, stage.at_least ? number_words(*gpu_hours) : gpu_hours_words(*gpu_hours))
          : "?",
      stage_bytes(stage, false),
      stage_bytes(stage, true)};
}

// The first two columns to the left, numbers to the right.
std::string aligned(const std::vector<Line>& lines) {
  std::array<size_t, kColumns> widths{};
  for (const auto& line : lines)
    for (size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], line[c].size());
  std::string text;
  for (const auto& line : lines) {
    for (size_t c = 0; c < kColumns; ++c) {
      const std::string space(widths[c] - line[c].size(), ' ');
      text += (c == 0 ? "" : "  ") + (c < 1 ? line[c] + space : space + line[c]);
    }
    text += "\n";
  }
  return text;
}

std::string arithmetic_of(const StageEstimate& stage) {
  std::string text = stage.stage + "\n";
  for (const auto& line : stage.lines) text += "  " + line + "\n";
  for (const auto& item : stage.disk) {
    text += concatenate("  disk, ", item.what, item.passing ? " (for a while)" : "", ": ",
                        item.bytes.how);
    if (item.bytes.value)
      text +=
          concatenate(" = ", item.bytes.at_most ? "at most " : "", bytes_words(*item.bytes.value));
    text += "\n";
  }
  return text;
}

std::string joined(const std::vector<std::string>& names, const char* between) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : between) + name;
  return text;
}

// Terms that are too small to be read are named together.
std::string gpu_hours_sum(const std::vector<StageEstimate>& stages) {
  std::string sum;
  double total = 0;
  bool small = false;
  for (const auto& stage : stages) {
    const double hours = stage.gpu_hours().value_or(0);
    total += hours;
    small = small || (hours > 0 && hours < 0.01);
    if (hours >= 0.01) sum += (sum.empty() ? "" : " + ") + gpu_hours_words(hours);
  }
  if (sum.empty()) return gpu_hours_words(total);
  return sum + (small ? " + what is below 0.01" : "") + " = " + gpu_hours_words(total);
}

std::string totals_of(const std::vector<StageEstimate>& stages,
                      const std::map<std::string, std::vector<std::string>>& inputs) {
  std::vector<std::string> unknown, most, least;
  int64_t gpus = 0;
  Bytes bytes, passing;
  for (const auto& stage : stages) {
    if (!stage.seconds) unknown.push_back(stage.stage);
    if (stage.seconds && stage.at_most) most.push_back(stage.stage);
    if (stage.seconds && stage.at_least) least.push_back(stage.stage);
    gpus += stage.job.gpus;
    bytes.add(stage.disk, false);
    passing.add(stage.disk, true);
  }
  std::string remark;
  if (!unknown.empty()) remark += " (without " + joined(unknown, ", ") + ", not known)";
  if (!most.empty()) remark += " (at most: " + joined(most, ", ") + ")";
  if (!least.empty()) remark += " (at least: " + joined(least, ", ") + ")";
  std::string text;
  if (unknown.size() < stages.size()) {
    const auto path = longest_path(stages, inputs);
    text +=
        concatenate("longest path: ", joined(path.stages, " > "), " = ", time_words(path.seconds),
                    ", without starting programs and waiting in the queue", remark, "\n");
    if (gpus > 0) text += concatenate("GPU hours: ", gpu_hours_sum(stages), remark, "\n");
  }
  passing.at_most = true;  // hardly ever all of them at the same time
  return text + concatenate("disk: ", bytes.words(), ", and for a while ", passing.words(),
                            " of checkpoints; logs, pages and small pictures not counted\n");
}

// Stages whose times are marked by "~", and why.
std::string rough_words(const std::vector<StageEstimate>& stages) {
  std::string text;
  const auto tell = [&](bool StageEstimate::*rough, const char* why) {
    std::vector<std::string> names;
    for (const auto& stage : stages)
      if (stage.seconds && stage.*rough) names.push_back(stage.stage);
    if (!names.empty()) text += "warning: " + joined(names, ", ") + ": " + why + "\n";
  };
  tell(&StageEstimate::other_device,
       "measured on other devices than their jobs have (CPUs, GPUs): the hours are not theirs; "
       "take rates from a run on such a node");
  tell(&StageEstimate::other_networks,
       "rough figures (~): networks so different from those measured do not reach the same "
       "operations a second");
  tell(&StageEstimate::few_calls,
       "rough figures (~): measured by fewer than three calls; raise --measure-seconds");
  tell(&StageEstimate::ideal,
       "ideal scaling with the ranks (~): the waiting for each other is not known, and the time "
       "will be longer");
  return text;
}

}  // namespace

std::string estimate_text(const std::vector<StageEstimate>& stages,
                          const std::map<std::string, std::vector<std::string>>& inputs,
                          const std::vector<std::string>& notes) {
  std::vector<Line> lines{
      {"stage", "work", "ranks", "GPUs", "time", "GPU hours", "disk", "for a while"}};
  for (const auto& stage : stages) lines.push_back(line_of(stage));
  std::string text = "\n#### What it will take\n\n" + aligned(lines) + "\n";
  text += totals_of(stages, inputs);
  for (const auto& note : notes) text += note + "\n";
  text += rough_words(stages);
  for (const auto& stage : stages)
    for (const auto& warning : stage.warnings) text += "warning: " + warning + "\n";
  text += "\nThe arithmetic:\n";
  for (const auto& stage : stages) text += arithmetic_of(stage);
  return text;
}

}  // namespace stylescope
