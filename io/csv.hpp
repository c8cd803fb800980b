#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

// Small tables that people write by hand or export from a spreadsheet.
namespace stylescope {

struct CsvRow {
  int64_t line = 0;                           // in the file, from 1
  std::map<std::string, std::string> values;  // by column; "" where the field is empty
  // "" for a column that the table does not have.
  const std::string& operator[](const std::string& column) const;
};

struct CsvTable {
  std::vector<std::string> columns;
  std::vector<CsvRow> rows;
  char separator = ',';
  bool has(const std::string& column) const;
};

struct CsvFormat {
  char separator = ',';     // 0: the one of , ; tab | that the first line has most of
  bool whole_rows = false;  // a row has a field for each column, and each column a name
};

// Separated fields with a header line; fields may be quoted ("" for a quotation mark); a byte order
// mark and \r are dropped, empty lines passed over. `required` columns must be there, others must
// be in `optional` when that is not empty. Throws Error with file and line, naming the nearest
// column; for text that is not UTF-8, too.
CsvTable read_csv(const std::filesystem::path& file, const std::vector<std::string>& required,
                  const std::vector<std::string>& optional = {}, const CsvFormat& format = {});

// The separator by its name: comma, semicolon, tab, pipe; 0 for auto.
char separator_of(const std::string& name);

}  // namespace stylescope
