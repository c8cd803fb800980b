#include "io/csv.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/base/nearest.hpp"

#include <algorithm>
#include <set>

namespace stylescope {
namespace {

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// The records of a CSV text one after another; quoted fields may hold commas and line breaks.
class CsvReader {
 public:
  CsvReader(std::string file, std::string text) : file_(std::move(file)), text_(std::move(text)) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }
  int64_t line() const { return record_line_; }

  // False at the end. Empty lines are passed over.
  bool next(std::vector<std::string>& fields) {
    while (at_ < text_.size()) {
      record_line_ = line_;
      fields = record();
      if (fields.size() > 1 || !fields.front().empty()) return true;
    }
    return false;
  }

 private:
  std::vector<std::string> record() {
    std::vector<std::string> fields;
    while (true) {
      fields.push_back(field());
      if (at_ >= text_.size()) return fields;
      if (text_[at_++] == '\n') {
        ++line_;
        return fields;
      }
    }
  }
  std::string field() {
    const size_t begin = text_.find_first_not_of(" \t", at_);
    if (begin != std::string::npos && text_[begin] == '"') return quoted(begin + 1);
    const size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
    std::string value = trimmed(text_.substr(at_, end - at_));
    at_ = end;
    return value;
  }
  std::string quoted(size_t from) {
    std::string value;
    for (at_ = from; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] != '"') {
        value += text_[at_];
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        value += text_[at_++];
      } else {
        at_ = std::min(text_.find_first_of(",\n", at_), text_.size());
        return value;
      }
    }
    throw Error(detail::concatenate(file_, ":", record_line_,
                                    ": a quotation mark is not closed; close it"));
  }

  std::string file_, text_;
  size_t at_ = 0;
  int64_t line_ = 1, record_line_ = 1;
};

void check_columns(const std::string& file, const std::vector<std::string>& columns,
                   const std::vector<std::string>& required,
                   const std::vector<std::string>& optional) {
  std::set<std::string> seen;
  for (const auto& name : columns)
    validate(seen.insert(name).second, file, ":1: column '", name, "' stands twice; remove one");
  for (const auto& name : required)
    validate(seen.contains(name), file, ":1: has no column '", name,
             "' (the first line names the columns)", suggestion(name, columns));
  if (optional.empty()) return;
  auto known = required;
  known.insert(known.end(), optional.begin(), optional.end());
  for (const auto& name : columns)
    validate(std::find(known.begin(), known.end(), name) != known.end(), file, ":1: column '", name,
             "' is unknown", suggestion(name, known));
}

}  // namespace

const std::string& CsvRow::operator[](const std::string& column) const {
  static const std::string none;
  const auto found = values.find(column);
  return found == values.end() ? none : found->second;
}

bool CsvTable::has(const std::string& column) const {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

CsvTable read_csv(const std::filesystem::path& file, const std::vector<std::string>& required,
                  const std::vector<std::string>& optional) {
  CsvReader reader(file.string(), read_text(file));
  CsvTable table;
  validate(reader.next(table.columns), file.string(),
           ": is empty; its first line must name the columns");
  check_columns(file.string(), table.columns, required, optional);
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    validate(fields.size() <= table.columns.size(), file.string(), ":", reader.line(), ": has ",
             fields.size(), " fields for ", table.columns.size(),
             " columns; quote a field that holds a comma");
    CsvRow row{reader.line(), {}};
    for (size_t i = 0; i < fields.size(); ++i) row.values[table.columns[i]] = fields[i];
    for (const auto& name : required)
      validate(!row[name].empty(), file.string(), ":", row.line, ": field '", name,
               "' is empty; fill it in");
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace stylescope
