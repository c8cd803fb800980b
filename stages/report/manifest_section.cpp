#include "io/atomic_file.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

#include <algorithm>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

struct StageRecord {
  std::string name;
  json content;
};

// In the order in which the stages were finished.
std::vector<StageRecord> read_records(const fs::path& run_dir) {
  std::vector<StageRecord> records;
  for (const auto& entry : fs::directory_iterator(run_dir)) {
    const auto file = entry.path() / "stage.json";
    // A dot in the name: a stage under way (.partial) or one that was replaced (.old-1).
    if (entry.path().has_extension() || !fs::exists(file)) continue;
    records.push_back(
        {entry.path().filename().string(), json::parse(read_text(file), nullptr, false)});
  }
  std::sort(records.begin(), records.end(), [](const StageRecord& a, const StageRecord& b) {
    const auto finished = [](const StageRecord& r) {
      return r.content.is_object() ? r.content.value("finished", "") : "";
    };
    return std::pair(finished(a), a.name) < std::pair(finished(b), b.name);
  });
  return records;
}

// A value of stage.json as short text, "" where it is absent.
std::string text_of(const json& content, const char* pointer) {
  const json::json_pointer path(pointer);
  if (!content.is_object() || !content.contains(path)) return "";
  const auto& value = content.at(path);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return html::fixed(value.get<double>(), 1);
  if (!value.is_array()) return value.dump();
  std::string list;
  for (const auto& part : value)
    list += (list.empty() ? "" : ", ") + (part.is_string() ? part.get<std::string>() : part.dump());
  return list;
}

std::string row(const StageRecord& record) {
  std::string out = "<tr><th scope=\"row\">" + html::escape(record.name) + "</th>";
  for (const char* what :
       {"/finished", "/wall_seconds", "/world_size", "/device", "/hosts", "/program/version"})
    out += "<td>" + html::escape(text_of(record.content, what)) + "</td>";
  return out + "</tr>\n";
}

}  // namespace

std::string manifest_section(const ReportInputs& inputs) {
  const auto records = read_records(inputs.run_dir);
  if (records.empty())
    return html::section("manifest", "How this was made",
                         html::absent("No stage.json was found in the run directory, so there is "
                                      "no record of how it was made."));
  std::string table =
      "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Stage</th><th "
      "scope=\"col\">Finished</th><th "
      "scope=\"col\">Seconds</th><th scope=\"col\">Ranks</th><th scope=\"col\">Device</th><th "
      "scope=\"col\">Hosts"
      "</th><th scope=\"col\">stylescope</th></tr></thead><tbody>\n";
  std::string details;
  for (const auto& record : records) {
    table += row(record);
    details += "<details><summary>" + html::escape(record.name) + "/stage.json</summary><pre>" +
               html::escape(record.content.is_discarded() ? "(damaged: no JSON)"
                                                          : record.content.dump(2)) +
               "</pre></details>\n";
  }
  return html::section("manifest", "How this was made",
                       "<p>Every stage's record: configuration, seed, versions, hashes of its "
                       "inputs and outputs.</p>\n" +
                           table + "</tbody></table></div>\n" + details);
}

}  // namespace stylescope
