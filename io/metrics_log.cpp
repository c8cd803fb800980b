#include "io/metrics_log.hpp"

#include "io/append_file.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

namespace stylescope {
namespace {

struct Line {
  std::string text;
  nlohmann::json value;
};

// A line ends with its newline: what has none was cut off when the program was killed.
std::vector<Line> lines_of(const std::filesystem::path& file) {
  std::vector<Line> lines;
  const std::string text = read_text(file);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    Line line{text.substr(begin, end - begin), {}};
    line.value = nlohmann::json::parse(line.text, nullptr, false);
    const bool whole = line.value.is_object() && line.value.contains("step") &&
                       line.value["step"].is_number_integer();
    validate(whole, file.string(), ": line ", lines.size() + 1,
             " is no JSON object with a \"step\"; move the file away and run again");
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path file) : file_(std::move(file)) {}

void MetricsLog::cut_back(int64_t first_step) {
  if (file_.empty() || !std::filesystem::exists(file_)) return;
  std::string kept;
  for (const auto& line : lines_of(file_))
    if (line.value["step"].get<int64_t>() < first_step) kept += line.text + '\n';
  publish_text(file_, kept);
}

void MetricsLog::write(const nlohmann::ordered_json& line) {
  SS_CHECK(line.is_object() && line.contains("step") && line["step"].is_number_integer());
  if (file_.empty()) return;
  append_to_file(file_, line.dump() + '\n');
}

void MetricsLog::sync() const {
  if (!file_.empty() && std::filesystem::exists(file_)) sync_to_disk(file_);
}

std::vector<nlohmann::json> read_metrics(const std::filesystem::path& file) {
  std::vector<nlohmann::json> values;
  for (auto& line : lines_of(file)) values.push_back(std::move(line.value));
  return values;
}

}  // namespace stylescope
