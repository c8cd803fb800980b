#include "stages/ingest/readings.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/csv.hpp"
#include "io/lower_case.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/ingest/field_number.hpp"
#include "stages/ingest/label_order.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct Reading {
  std::string reader, grade, place;  // place: "kxr_sq_bu00.txt:17"
};

// '*' in `pattern` stands for any letters. Both in lower case.
bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() != '*')
    return !name.empty() && pattern.front() == name.front() &&
           matches(pattern.substr(1), name.substr(1));
  for (size_t skipped = 0; skipped <= name.size(); ++skipped)
    if (matches(pattern.substr(1), name.substr(skipped))) return true;
  return false;
}

// The table's own name of a configured column; "" where it has none.
std::string column_in(const CsvTable& table, const std::string& file, const char* key,
                      const std::string& wanted, bool required) {
  std::string found;
  for (const auto& column : table.columns) {
    if (!matches(lower_case(wanted), lower_case(column))) continue;
    validate(found.empty(), file, ":1: columns '", found, "' and '", column,
             "' both fit ingest.knees.readings.", key, ", '", wanted, "'; write it out");
    found = column;
  }
  validate(!required || !found.empty(), file, ":1: has no column '", wanted,
           "' (ingest.knees.readings.", key, ")", suggestion(wanted, table.columns));
  return found;
}

// Whole numbers without their fraction: "2.0" and "2" are the same grade.
std::string grade_of(const std::string& field) {
  const std::string grade = code_of(field);
  const auto whole = whole_number_in(grade);
  return whole ? std::to_string(*whole) : grade;
}

std::string rows_text(const std::vector<Reading>& readings) {
  std::string text;
  for (const auto& reading : readings)
    text += (text.empty() ? "" : "; ") + reading.place + "=" + reading.grade;
  return text;
}

class Joiner {
 public:
  Joiner(const KneesConfig& config, const std::vector<std::string>& class_names)
      : config_(config.readings), knees_(config), order_(class_names) {
    for (size_t i = 0; i < config_.files.size(); ++i) read(i);
    joined_.counts = {{"readings", rows_}};
    for (const char* outcome : {"same", "resolved", "dropped", "no_reading", "no_film", "no_grade"})
      joined_.counts[std::string("readings_") + outcome] = 0;
  }

  JoinedReadings join(const std::vector<KneeKey>& knees) {
    std::map<KneeKey, std::string> labels;
    int64_t found = 0;
    for (const auto& asked : knees) {
      KneeKey knee = asked;
      if (!told_visits_) knee.visit.reset();
      const auto [label, is_new] = labels.emplace(knee, "");
      if (is_new) label->second = label_of(knee);
      found += label->second.empty() ? 0 : 1;
      joined_.labels.push_back(label->second);
    }
    validate(found > 0, config_.files.front(), ": gives a grade to none of the ", knees.size(),
             " knees that there are pictures of (", first_of(knees),
             "); check ingest.knees.readings (columns, visits) and the codes of the sides");
    for (const auto& [knee, readings] : by_knee_)
      if (!labels.contains(knee)) note("no_film", knee, "", rows_text(readings));
    for (auto& ungraded : ungraded_) note("no_grade", ungraded.first, "", ungraded.second + "=");
    return std::move(joined_);
  }

 private:
  void read(size_t index) {
    const std::string& file = config_.files[index];
    const std::string name = fs::path(file).filename().string();
    const auto table = read_csv(file, {}, {}, {.separator = separator_of(config_.separator)});
    const ReadingsConfig standard;
    const auto column = [&](const char* key, const std::string& wanted, bool required) {
      return column_in(table, file, key, wanted, required);
    };
    const std::string subject = column("subject", config_.subject, true);
    const std::string side = column("side", config_.side, true);
    const std::string grade = column("grade", config_.grade, true);
    const std::string reader =
        column("reader", config_.reader,
               config_.duplicates == "preferred" || config_.reader != standard.reader);
    const std::string visit = config_.visits.empty()
                                  ? column("visit", config_.visit, config_.visit != standard.visit)
                                  : "";
    const bool told = !config_.visits.empty() || !visit.empty();
    validate(index == 0 || told == told_visits_, file, told ? ":1: has a" : ":1: has no",
             " column '", config_.visit, "' (ingest.knees.readings.visit), other than ",
             config_.files.front(),
             "; give it to all of them, or say ingest.knees.readings.visits");
    told_visits_ = told;
    for (const auto& row : table.rows) {
      ++rows_;
      const std::string place = detail::concatenate(file, ":", row.line);
      KneeKey knee;
      knee.subject = row[subject];
      validate(!knee.subject.empty(), place, ": field '", subject, "' is empty; fill it in");
      if (!config_.visits.empty()) knee.visit = config_.visits[index];
      if (!visit.empty()) knee.visit = months(code_of(row[visit]), place);
      const std::string told_as = detail::concatenate(name, ":", row.line);
      const auto found = side_from(row[side], knees_);
      validate(found || code_of(row[side]).empty(), place, ": side '", row[side],
               "' is neither L nor R; set ingest.knees.right_code and left_code (OAI: 1 and 2)");
      knee.side = found.value_or(Side::right);
      const Reading reading{code_of(row[reader]), grade_of(row[grade]), told_as};
      if (!found || reading.grade.empty())
        ungraded_.emplace_back(knee, told_as);
      else
        by_knee_[knee].push_back(reading);
    }
  }

  static std::optional<int64_t> months(const std::string& text, const std::string& place) {
    if (text.empty()) return std::nullopt;
    const auto value = whole_number_in(text);
    validate(value.has_value(), place, ": visit '", text,
             "' is no whole number of months; correct it, or say ingest.knees.readings.visits");
    return value;
  }

  // "" where the knee is left out.
  std::string label_of(const KneeKey& knee) {
    const auto found = by_knee_.find(knee);
    if (found == by_knee_.end()) return note("no_reading", knee, "", "");
    const auto& readings = found->second;
    for (const auto& reading : readings)
      validate(order_.empty() || rank(reading.grade) < order_.size(), reading.place, ": grade '",
               reading.grade, "' is not in ingest.class_names", suggestion(reading.grade, order_),
               "; add it there, or correct it");
    const bool differ = std::any_of(readings.begin(), readings.end(), [&](const Reading& r) {
      return r.grade != readings.front().grade;
    });
    if (!differ && config_.duplicates != "preferred")
      return readings.size() == 1 ? readings.front().grade
                                  : note("same", knee, readings.front().grade, rows_text(readings));
    const std::string grade = resolved(readings);
    if (!differ && readings.size() == 1 && !grade.empty()) return grade;
    const char* outcome = grade.empty() ? "dropped" : differ ? config_.duplicates.c_str() : "same";
    return note(outcome, knee, grade, rows_text(readings));
  }

  std::string resolved(std::vector<Reading> readings) const {
    const std::string& rule = config_.duplicates;
    if (rule == "first") return readings.front().grade;
    if (rule == "preferred") {
      for (const auto& reader : config_.readers)
        for (const auto& reading : readings)
          if (reading.reader == reader) return reading.grade;
      return {};
    }
    std::stable_sort(readings.begin(), readings.end(), [this](const Reading& a, const Reading& b) {
      return is_lower(a.grade, b.grade);
    });
    if (rule == "highest") return readings.back().grade;
    return rule == "median" ? readings[(readings.size() - 1) / 2].grade : "";
  }

  size_t rank(const std::string& grade) const {
    return static_cast<size_t>(std::find(order_.begin(), order_.end(), grade) - order_.begin());
  }
  bool is_lower(const std::string& a, const std::string& b) const {
    return order_.empty() ? label_before(a, b) : rank(a) < rank(b);
  }

  // Gives the label back.
  std::string note(const std::string& outcome, const KneeKey& knee, const std::string& label,
                   const std::string& rows) {
    const bool by_rule = outcome == config_.duplicates;
    ++joined_.counts["readings_" + (by_rule ? "resolved" : outcome)];
    joined_.notes.push_back({outcome, knee, label, rows});
    return label;
  }

  std::string first_of(const std::vector<KneeKey>& knees) const {
    const auto words = [](const KneeKey& knee) {
      return "side " + to_string(knee.side) + ", " +
             (knee.visit ? "month " + std::to_string(*knee.visit) : "no month");
    };
    std::string text = "the first picture: " + words(knees.front());
    if (!by_knee_.empty()) text += "; the first reading: " + words(by_knee_.begin()->first);
    const bool known = std::any_of(by_knee_.begin(), by_knee_.end(), [&](const auto& entry) {
      return entry.first.subject == knees.front().subject;
    });
    return text + (known ? "" : "; the first picture's subject has no reading at all");
  }

  const ReadingsConfig& config_;
  const KneesConfig& knees_;
  const std::vector<std::string>& order_;
  std::map<KneeKey, std::vector<Reading>> by_knee_;  // in the order of files and rows
  std::vector<std::pair<KneeKey, std::string>> ungraded_;
  int64_t rows_ = 0;
  bool told_visits_ = false;
  JoinedReadings joined_;
};

}  // namespace

JoinedReadings join_readings(const KneesConfig& config, const std::vector<KneeKey>& knees,
                             const std::vector<std::string>& class_names) {
  SS_CHECK(!knees.empty());
  return Joiner(config, class_names).join(knees);
}

std::string readings_text(const std::vector<ReadingNote>& notes,
                          const std::function<std::string(const std::string&)>& subject) {
  std::vector<std::string> lines;
  for (const auto& note : notes)
    lines.push_back(note.outcome + "," + csv_field(subject(note.knee.subject)) + "," +
                    to_string(note.knee.side) + "," +
                    (note.knee.visit ? std::to_string(*note.knee.visit) : "") + "," +
                    csv_field(note.label) + "," + csv_field(note.rows) + "\n");
  std::sort(lines.begin(), lines.end());
  std::string text = "outcome,subject,side,visit_months,label,rows\n";
  for (const auto& line : lines) text += line;
  return text;
}

}  // namespace stylescope
