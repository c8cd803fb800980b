#include "stages/ingest/table_columns.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/log.hpp"
#include "stages/ingest/field_number.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <limits>
#include <regex>
#include <set>
#include <string_view>

namespace stylescope {
namespace {

constexpr std::array<std::string_view, 5> kOwn{"path", "label", "subject", "split", "side"};
constexpr std::array<std::string_view, 3> kKnown{"visit_months", "centre", "reader"};
// More different texts than these, in more than half of the rows, are no categories.
constexpr size_t kManyTexts = 50;

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

bool is_missing(const std::string& field) {
  return field.empty() || field == "NA" || field == "NaN" || field == "nan" || field == ".";
}

// "PatientBirthDate", "patient_birth-date" -> patient, birth, date; "mrn2" -> mrn.
std::vector<std::string> words_of(const std::string& column) {
  std::vector<std::string> words(1);
  bool was_lower = false;
  for (const char c : column) {
    const auto u = static_cast<unsigned char>(c);
    const bool upper = std::isupper(u) != 0;
    if (std::isalnum(u) == 0 || (upper && was_lower)) words.emplace_back();
    if (std::isalnum(u) != 0) words.back() += static_cast<char>(std::tolower(u));
    was_lower = std::islower(u) != 0;
  }
  for (auto& word : words) word.resize(word.find_last_not_of("0123456789") + 1);
  std::erase(words, "");
  return words;
}

// "subjid", "v00xrdate", "hospitalnumber": words that nobody parted, and that end as names of
// numbers and dates do. Those of medicine that merely end alike are none.
bool ends_like_a_key(std::string_view word) {
  static constexpr std::string_view kEndings[] = {"id",     "ids",  "no",   "nr",  "num",
                                                  "number", "date", "code", "nmbr"};
  static constexpr std::string_view kOthers[] = {
      "oid",     "aid",      "covid",   "lipid",  "otid",   "fluid",    "liquid",
      "solid",   "grid",     "acid",    "valid",  "rapid",  "humid",    "hybrid",
      "mono",    "amino",    "adeno",   "inr",    "snr",    "cnr",      "carcino",
      "sternum", "duodenum", "jejunum", "magnum", "plenum", "candidate"};
  const auto ends_in = [&](std::string_view ending) { return word.ends_with(ending); };
  if (std::none_of(std::begin(kEndings), std::end(kEndings), ends_in)) return false;
  if (word.ends_with('s')) word.remove_suffix(1);
  return word != "mid" && std::none_of(std::begin(kOthers), std::end(kOthers), ends_in);
}

// 20010203, 2001-02-03, 03.02.2001, 2/3/2001.
bool is_date(const std::string& field) {
  static const std::regex kDate(
      R"((19|20)\d\d(-|/|\.|)(0[1-9]|1[0-2])\2([0-2]\d|3[01])|\d{1,2}([./-])\d{1,2}\5(19|20)?\d\d)");
  return std::regex_match(field, kDate);
}

}  // namespace

bool looks_personal(const std::string& column) {
  static constexpr std::string_view kWords[] = {
      "name", "names",    "initials", "dob",  "born", "date",  "mrn",    "ssn", "oid",
      "nhs",  "id",       "ids",      "uid",  "pid",  "phone", "mobile", "tel", "fax",
      "zip",  "postcode", "email",    "mail", "file", "note",  "notes"};
  // Of a count when they come first: number_of_lesions.
  static constexpr std::string_view kCounts[] = {"no", "nr", "num", "number"};
  static constexpr std::string_view kParts[] = {"birth",     "accession", "surname",  "address",
                                                "telephone", "insurance", "passport", "comment"};
  // What is known of a patient need not tell who it is.
  static constexpr std::string_view kHarmless[] = {"age", "sex", "weight", "size", "bmi", "height"};
  std::string squeezed;
  bool harmless = false, person = false;
  const auto words = words_of(column);
  for (size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    const bool is_count = i + 1 < words.size() && contains(kCounts, word);
    if (contains(kWords, word) || (!is_count && ends_like_a_key(word))) return true;
    harmless = harmless || contains(kHarmless, word);
    person =
        person || word.find("patient") != std::string::npos || word == "subject" || word == "subj";
    squeezed += word;
  }
  for (const auto part : kParts)
    if (squeezed.find(part) != std::string::npos) return true;
  return squeezed.ends_with("name") || (person && !harmless);
}

AttributeColumns::AttributeColumns(const CsvTable& table, const TableConfig& config)
    : decimal_comma_(table.separator == ';') {
  std::string personal;
  for (const auto& column : table.columns) {
    if (contains(kOwn, column)) continue;
    if (contains(kKnown, column)) {
      add(table, column, config.file, true);
    } else if (config.attributes.empty()) {
      if (looks_personal(column))
        personal += (personal.empty() ? "'" : ", '") + column + "'";
      else
        add(table, column, config.file, false);
    }
  }
  validate(personal.empty(), config.file, ":1: column ", personal,
           " looks like what tells who a person is, and that must not reach any output; name the "
           "columns to keep (ingest.table.attributes: [age, ...]), or take it away");
  for (const auto& column : config.attributes) {
    validate(table.has(column), config.file, ":1: has no column '", column,
             "' (ingest.table.attributes names it)", suggestion(column, table.columns));
    if (contains(kOwn, column) || contains(kKnown, column)) continue;
    if (looks_personal(column))
      log::warn(
          "{}: column '{}' looks like what tells who a person is, and is kept because "
          "ingest.table.attributes names it",
          config.file, column);
    add(table, column, config.file, true);
  }
}

void AttributeColumns::add(const CsvTable& table, const std::string& column,
                           const std::string& file, bool chosen) {
  validate(column.find('/') == std::string::npos && column != ".", file, ":1: column '", column,
           "' cannot be an attribute's name (because of its '/' or '.'); rename it");
  columns_.push_back(column);
  std::set<std::string> texts;
  bool numbers = true, dates = true;
  for (const auto& row : table.rows) {
    const std::string& field = row[column];
    if (is_missing(field)) continue;
    texts.insert(field);
    numbers = numbers && number_in(field, decimal_comma_);
    dates = dates && is_date(field);
  }
  validate(chosen || texts.empty() || !dates, file, ":1: column '", column,
           "' holds dates (which may tell who a person is); name the columns to keep "
           "(ingest.table.attributes: [age, ...]), or take it away");
  if (numbers) return;
  validate(chosen || texts.size() <= kManyTexts || 2 * texts.size() <= table.rows.size(), file,
           ":1: column '", column, "' holds ", texts.size(), " different texts in ",
           table.rows.size(),
           " rows (which may tell who a person is); name the columns to keep "
           "(ingest.table.attributes: [age, ...]), or take it away");
  names_[column] = {texts.begin(), texts.end()};
}

std::map<std::string, double> AttributeColumns::of(const CsvRow& row) const {
  std::map<std::string, double> values;
  for (const auto& column : columns_) {
    const std::string& field = row[column];
    double& value = values[column] = std::numeric_limits<double>::quiet_NaN();
    if (is_missing(field)) continue;
    const auto names = names_.find(column);
    if (names == names_.end()) {
      value = *number_in(field, decimal_comma_);
    } else {
      const auto& texts = names->second;
      value =
          static_cast<double>(std::lower_bound(texts.begin(), texts.end(), field) - texts.begin());
    }
  }
  return values;
}

}  // namespace stylescope
