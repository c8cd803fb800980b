#include "stages/ingest/table_config.hpp"

#include "stages/images/config_checks.hpp"

#include <regex>

namespace stylescope {

void TableConfig::describe(Fields& f) {
  f.field("file", file,
          "CSV with the columns path, label and, where known, subject, side, visit_months, centre, "
          "reader, split; further ones become attributes");
  f.choice("separator", separator, {"auto", "comma", "semicolon", "tab", "pipe"},
           "between fields; auto: what the first line has most of");
  f.field("attributes", attributes,
          "further columns to keep; empty: all, and those that look like a person's are refused");
}

void ReadingsConfig::describe(Fields& f) {
  f.field("files", files, "tables with a row a knee and reader; their grades become the labels");
  f.field("visits", visits, {0, 1200},
          "months after the first visit, of each file; empty: the column 'visit' says it");
  f.choice("separator", separator, {"auto", "comma", "semicolon", "tab", "pipe"},
           "between fields; auto: what the first line has most of");
  f.field("subject", subject, "column (in any case; '*' for any letters, as in V*XRKL)");
  f.field("side", side, "column");
  f.field("visit", visit, "column of months");
  f.field("reader", reader, "column");
  f.field("grade", grade, "column that becomes the label");
  f.choice("duplicates", duplicates, {"drop", "first", "median", "highest", "preferred"},
           "where the readings of a knee differ: leave it out, or take the first row, the lower "
           "median, the highest grade, the first of 'readers' that read it");
  f.field("readers", readers, "for duplicates: preferred, the one that counts most first");
}

void KneesConfig::describe(Fields& f) {
  f.choice("bilateral", bilateral, {"none", "split", "boxes"},
           "films with both knees: split in the middle, or cut by a table of boxes");
  f.field("boxes", boxes, "CSV with the columns path, side, x, y, width, height (pixels)");
  f.choice("image_left", image_left, {"right", "left"},
           "the knee on a film's left: right (the patient faces the viewer, as DICOM has it)");
  f.choice("mirror", mirror, {"none", "left", "right"},
           "knees of this side are mirrored, so that all look alike");
  f.field("side_regex", side_regex,
          "finds the side (L or R) in a file name where no column says it; its first group, or all "
          "that matches");
  f.field("right_code", right_code, "what stands for right besides R and right (OAI: 1)");
  f.field("left_code", left_code, "what stands for left besides L and left (OAI: 2)");
  f.section("readings", readings, "the table of readings that gives the labels");
}

void KneesConfig::check(const std::string& source) const {
  const bool table = source == "table";
  require(table || (!cuts() && !readings.on()), "ingest.knees.", cuts() ? "bilateral" : "readings",
          ": given (source is ", source,
          ", which has no rows to tell knees by); use source: table");
  require(table || source == "folder" || !mirrors(), "ingest.knees.mirror: ", mirror,
          " (source is ", source, "); only sources table and folder know sides");
  require((bilateral == "boxes") == !boxes.empty(), "ingest.knees.boxes: is ",
          boxes.empty() ? "empty" : "given", " (bilateral is ", bilateral,
          "); give both, boxes: FILE and bilateral: boxes, or neither");
  require(readings.visits.empty() || readings.visits.size() == readings.files.size(),
          "ingest.knees.readings.visits: has ", readings.visits.size(), " entries for ",
          readings.files.size(), " files; give one a file");
  require((readings.duplicates == "preferred") == !readings.readers.empty(),
          "ingest.knees.readings.readers: is ", readings.readers.empty() ? "empty" : "given",
          " (duplicates is ", readings.duplicates,
          "); give both, duplicates: preferred and readers, or neither");
  require(right_code.empty() || right_code != left_code, "ingest.knees.left_code: '", left_code,
          "' stands for right, too; give two codes");
  try {
    std::regex{side_regex};
  } catch (const std::regex_error& error) {
    throw UsageError(detail::concatenate("ingest.knees.side_regex: '", side_regex,
                                         "' is no regular expression (", error.what(),
                                         "); for 9001695L.jpg it is [0-9]([LR])"));
  }
}

}  // namespace stylescope
