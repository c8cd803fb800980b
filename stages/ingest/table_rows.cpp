#include "stages/ingest/table_rows.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/sha256.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/ingest/field_number.hpp"
#include "stages/ingest/file_state.hpp"
#include "stages/ingest/picture_facts.hpp"

#include <map>
#include <set>
#include <utility>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

fs::path base_of(const IngestConfig& config) {
  return config.path.empty() ? fs::path(config.table.file).parent_path() : fs::path(config.path);
}

CsvTable read_table(const IngestConfig& config) {
  const std::string& file = config.table.file;
  const bool readings = config.knees.readings.on(), own_split = config.split.mode == "table";
  std::vector<std::string> required{"path"};
  if (!readings) required.emplace_back("label");
  if (own_split) required.emplace_back("split");
  auto table = read_csv(file, required, {},
                        {.separator = separator_of(config.table.separator), .whole_rows = true});
  validate(!table.rows.empty(), file, ": names its columns and has no rows; add one a picture");
  validate(own_split || !table.has("split"), file,
           ":1: has a column 'split' (and ingest.split.mode is ", config.split.mode,
           "); set mode: table, or take the column away");
  validate(!readings || !table.has("label"), file,
           ":1: has a column 'label' (and ingest.knees.readings gives labels, too); take one away");
  validate(!config.knees.cuts() || readings || table.has("side"), file,
           ":1: has no column 'side' (a film shows two knees, and ingest.knees.readings is not "
           "there to tell their labels); add it, with a row a knee");
  return table;
}

// What the fields of a row say.
struct RowFacts {
  std::string place;  // "films.csv:7"
  fs::path file;
  std::optional<Side> side;
  std::optional<int64_t> visit;
  bool is_there = false;
};

class TableLister {
 public:
  explicit TableLister(const IngestConfig& config)
      : config_(config), knees_(config.knees), name_(fs::path(config.table.file).filename()) {
    found_.table = read_table(config);
    if (knees_.bilateral == "boxes") boxes_ = read_boxes(knees_);
  }

  TableImages list() {
    std::vector<RowFacts> rows;
    for (const auto& row : found_.table.rows) rows.push_back(read_fields(row));
    check_repeated(rows);
    const auto facts = facts_of_pictures(rows);
    for (size_t i = 0; i < rows.size(); ++i) add(i, rows[i], facts[i]);
    tell_unused_boxes();
    return std::move(found_);
  }

 private:
  RowFacts read_fields(const CsvRow& row) const {
    RowFacts facts;
    facts.place = detail::concatenate(config_.table.file, ":", row.line);
    facts.file = base_of(config_) / row["path"];
    if (const auto& side = row["side"]; !side.empty()) {
      facts.side = side_from(side, knees_);
      validate(facts.side.has_value(), facts.place, ": side '", side,
               "' is neither L nor R; correct it, or set ingest.knees.right_code and left_code");
    }
    if (const auto& visit = row["visit_months"]; !visit.empty()) {
      facts.visit = whole_number_in(visit);
      validate(facts.visit.has_value(), facts.place, ": visit_months '", visit,
               "' is no whole number of months; correct it");
    }
    std::error_code ignored;
    facts.is_there = fs::is_regular_file(facts.file, ignored);
    return facts;
  }

  // A picture may stand in two rows only where these are its two knees.
  void check_repeated(const std::vector<RowFacts>& rows) const {
    std::map<std::string, std::vector<const RowFacts*>> known;
    for (const auto& row : rows) {
      auto& before = known[row.file.lexically_normal().string()];
      for (const auto* other : before)
        validate(knees_.cuts() && row.side && other->side && row.side != other->side, row.place,
                 ": names the same picture", knees_.cuts() ? " and knee" : "", " as ", other->place,
                 " (a repeated path); take one of the lines away");
      before.push_back(&row);
    }
  }

  // Asked only where something is not said elsewhere: it means opening the files.
  std::vector<PictureFacts> facts_of_pictures(const std::vector<RowFacts>& rows) const {
    std::vector<fs::path> asked;
    std::vector<size_t> of;
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool subject = found_.table.rows[i]["subject"].empty() && config_.subject_regex.empty();
      if (!rows[i].is_there || !(subject || (wants_side() && !named_side(rows[i])))) continue;
      asked.push_back(rows[i].file);
      of.push_back(i);
    }
    auto answers = picture_facts(asked, config_.threads);
    std::vector<PictureFacts> facts(rows.size());
    for (size_t k = 0; k < of.size(); ++k) facts[of[k]] = std::move(answers[k]);
    return facts;
  }

  // Of a picture of one knee.
  bool wants_side() const { return !knees_.cuts() && (knees_.mirrors() || knees_.readings.on()); }
  std::optional<Side> named_side(const RowFacts& row) const {
    return row.side ? row.side : side_in_name(row.file, knees_);
  }

  std::string subject(const CsvRow& row, const RowFacts& facts, const PictureFacts& own) const {
    if (!row["subject"].empty()) return row["subject"];
    const std::string name = facts.file.filename().string();
    if (!config_.subject_regex.empty()) return subject_of(name, config_.subject_regex);
    if (!own.patient.empty()) return own.patient;
    validate(!found_.table.has("subject"), facts.place,
             ": field 'subject' is empty (nothing else tells whose the picture is, and the splits "
             "go by subject); fill it in");
    return subject_of(name, "");
  }

  void add(size_t index, const RowFacts& row, const PictureFacts& own) {
    const CsvRow& fields = found_.table.rows[index];
    TableImage image;
    image.row = index;
    image.file = row.file;
    image.path = fields["path"];
    image.told_as =
        config_.pseudonyms() ? detail::concatenate(name_.string(), ":", fields.line) : image.path;
    image.visit = row.visit;
    image.subject = subject(fields, row, own);
    const auto bad = [&](const std::string& reason) {
      found_.bad.push_back({image.told_as, reason});
    };
    if (!row.is_there) return bad("is not there; check the table's path and ingest.path");
    if (image.subject.empty())
      return bad("the file name does not match ingest.subject_regex '" + config_.subject_regex +
                 "'");
    image.side = named_side(row);
    validate(!knees_.cuts() || row.side || knees_.readings.on(), row.place,
             ": field 'side' is empty (the film shows two knees, and the label is of one); fill it "
             "in");
    if (knees_.cuts()) return add_knees(image, row.side);
    if (!image.side) image.side = side_from(own.laterality, knees_);
    if (!image.side && wants_side())
      return bad(
          "its side is not known (by the column 'side', ingest.knees.side_regex or a DICOM "
          "header)");
    found_.images.push_back(std::move(image));
  }

  void add_knees(TableImage image, std::optional<Side> only) {
    auto box = boxes_.find(fs::path(image.path).lexically_normal().string());
    if (box != boxes_.end()) used_boxes_.insert(box->first);
    const std::string told = image.told_as;
    int64_t added = 0;
    for (const Side side : {Side::right, Side::left}) {
      if (only && side != *only) continue;
      image.side = side;
      image.told_as = told + " (" + to_string(side) + ")";
      if (knees_.bilateral == "boxes") {
        if (box == boxes_.end() || !box->second.contains(side)) continue;
        image.box = box->second.at(side);
      }
      found_.images.push_back(image);
      ++added;
    }
    if (added == 0)
      found_.bad.push_back({told, "has no box in " + fs::path(knees_.boxes).filename().string() +
                                      (only ? " for side " + to_string(*only) : "")});
  }

  void tell_unused_boxes() const {
    if (used_boxes_.size() == boxes_.size()) return;
    for (const auto& [path, film] : boxes_) {
      if (used_boxes_.contains(path)) continue;
      log::warn("{}: {} of {} pictures with boxes are not in {} (the first is {})", knees_.boxes,
                boxes_.size() - used_boxes_.size(), boxes_.size(), config_.table.file,
                film.begin()->second.place);
      return;
    }
  }

  const IngestConfig& config_;
  const KneesConfig& knees_;
  const fs::path name_;  // of the table, as it is told
  std::map<std::string, FilmBoxes> boxes_;
  std::set<std::string> used_boxes_;
  TableImages found_;
};

}  // namespace

TableImages list_table(const IngestConfig& config) { return TableLister(config).list(); }

std::string table_fingerprint(const IngestConfig& config) {
  Sha256 hash;
  const auto add_content = [&](const std::string& file) {
    if (!file.empty()) hash.update(file).update(sha256_of_file(file));
  };
  add_content(config.table.file);
  add_content(config.knees.boxes);
  for (const auto& file : config.knees.readings.files) add_content(file);
  CsvTable table;
  try {
    table = read_table(config);
  } catch (const Error&) {
    // Its content alone, then: the stage runs and says what is wrong with it.
    return hash.update("damaged").finish();
  }
  for (const auto& row : table.rows)
    add_file_state(hash, row["path"], base_of(config) / row["path"]);
  return hash.finish();
}

}  // namespace stylescope
