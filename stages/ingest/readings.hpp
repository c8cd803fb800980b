#pragma once

#include "stages/ingest/knee_side.hpp"
#include "stages/ingest/table_config.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Tables of readings, as OAI's kxr_sq_bu00.txt: who graded which knee at which visit. One grade a
// knee comes out of them, and a list of what was not as simple as one row for one knee.
namespace stylescope {

struct KneeKey {
  std::string subject;
  Side side = Side::right;
  std::optional<int64_t> visit;  // months; nothing: visits are not told apart
  auto operator<=>(const KneeKey&) const = default;
};

// outcome: what became of the knee or row
//   same        several readings that agree
//   first, median, highest, preferred: they differ; `label` was taken by this rule
//   dropped     they differ, or no preferred reader has read it: the image is left out
//   no_reading  an image without a reading (left out)      no_film   readings without an image
//   no_grade    a row whose grade or side is missing
struct ReadingNote {
  std::string outcome;
  KneeKey knee;
  std::string label;
  std::string rows;  // "kxr_sq_bu00.txt:17=2; kxr_sq_bu00.txt:903=3": where, and the grade there
};

struct JoinedReadings {
  std::vector<std::string> labels;  // of each knee that was asked for; "" where it has none
  std::vector<ReadingNote> notes;
  std::map<std::string, int64_t> counts;  // readings, and readings_<outcome> of each outcome
};

// knees: of the images. class_names: their order is that of the grades; empty: by number, then by
// letters. Throws Error with file and line: a column that is missing or found twice, an unknown
// side, a month that is no number, a grade of an image's knee that is not in class_names; and when
// no knee has a reading.
JoinedReadings join_readings(const KneesConfig& config, const std::vector<KneeKey>& knees,
                             const std::vector<std::string>& class_names);

// CSV: outcome, subject, side, visit_months, label, rows; sorted. `subject` gives what is written.
std::string readings_text(const std::vector<ReadingNote>& notes,
                          const std::function<std::string(const std::string&)>& subject);

}  // namespace stylescope
