#include "io/csv.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/utf8_text.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace stylescope {
namespace {

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Of , ; tab and | the one that the first line has most of, outside of quotation marks.
char found_separator(std::string_view text) {
  constexpr std::string_view kKnown = ",;\t|";
  std::array<int64_t, kKnown.size()> count{};
  bool quoted = false;
  const size_t begin = std::min(text.find_first_not_of("\r\n"), text.size());
  for (size_t i = begin; i < text.size() && (quoted || text[i] != '\n'); ++i) {
    if (text[i] == '"') quoted = !quoted;
    const size_t which = quoted ? std::string_view::npos : kKnown.find(text[i]);
    if (which != std::string_view::npos) ++count[which];
  }
  return kKnown[static_cast<size_t>(std::max_element(count.begin(), count.end()) - count.begin())];
}

std::string name_of(char separator) {
  if (separator == ',') return "a comma";
  return separator == '\t' ? "a tab" : std::string("'") + separator + "'";
}

// The records of a CSV text one after another; quoted fields may hold separators and line breaks.
class CsvReader {
 public:
  CsvReader(std::string file, std::string text, char separator)
      : file_(std::move(file)),
        text_(std::move(text)),
        ends_{separator, '\n'},
        blanks_(separator == '\t' ? " " : " \t") {}
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
    const size_t begin = text_.find_first_not_of(blanks_, at_);
    if (begin != std::string::npos && text_[begin] == '"') return quoted(begin + 1);
    const size_t end = std::min(text_.find_first_of(ends_, at_), text_.size());
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
        const size_t end = std::min(text_.find_first_of(ends_, at_), text_.size());
        validate(
            trimmed(text_.substr(at_ + 1, end - at_ - 1)).empty(), file_, ":", line_,
            ": goes on after a closing quotation mark; double a quotation mark inside a field");
        at_ = end;
        return value;
      }
    }
    throw Error(detail::concatenate(file_, ":", record_line_,
                                    ": a quotation mark is not closed; close it"));
  }

  std::string file_, text_, ends_, blanks_;
  size_t at_ = 0;
  int64_t line_ = 1, record_line_ = 1;
};

void check_columns(const std::string& file, const CsvTable& table,
                   const std::vector<std::string>& required,
                   const std::vector<std::string>& optional, const CsvFormat& format) {
  const auto& columns = table.columns;
  const char found = found_separator(columns.front());
  validate(columns.size() > 1 || required.empty() || columns.front() == required.front() ||
               columns.front().find(found) == std::string::npos,
           file, ":1: its fields are separated by ", name_of(found), ", and ",
           name_of(table.separator), " is expected; save it with ", name_of(table.separator));
  std::set<std::string> seen;
  for (size_t i = 0; i < columns.size(); ++i) {
    validate(!format.whole_rows || !columns[i].empty(), file, ":1: column ", i + 1,
             " has no name; name it, or take it away");
    validate(seen.insert(columns[i]).second, file, ":1: column '", columns[i],
             "' stands twice; remove one");
  }
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
                  const std::vector<std::string>& optional, const CsvFormat& format) {
  std::string text = read_utf8(file);
  CsvTable table;
  table.separator = format.separator ? format.separator : found_separator(text);
  CsvReader reader(file.string(), std::move(text), table.separator);
  validate(reader.next(table.columns), file.string(),
           ": is empty; its first line must name the columns");
  check_columns(file.string(), table, required, optional, format);
  const size_t width = table.columns.size();
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    const bool fits = format.whole_rows ? fields.size() == width : fields.size() <= width;
    validate(fits, file.string(), ":", reader.line(), ": has ", fields.size(),
             fields.size() == 1 ? " field for " : " fields for ", width, " columns; ",
             fields.size() > width ? "quote a field that holds " + name_of(table.separator)
                                   : "add what is missing (empty fields count, too)");
    CsvRow row{reader.line(), {}};
    for (size_t i = 0; i < fields.size(); ++i) row.values[table.columns[i]] = fields[i];
    for (const auto& name : required)
      validate(!row[name].empty(), file.string(), ":", row.line, ": field '", name,
               "' is empty; fill it in");
    table.rows.push_back(std::move(row));
  }
  return table;
}

char separator_of(const std::string& name) {
  return name == "comma"       ? ','
         : name == "semicolon" ? ';'
         : name == "tab"       ? '\t'
         : name == "pipe"      ? '|'
                               : '\0';
}

}  // namespace stylescope
