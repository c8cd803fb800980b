#pragma once

#include "io/csv.hpp"
#include "stages/ingest/table_config.hpp"

#include <map>
#include <string>
#include <vector>

// The columns of a table that go into images.h5 as attributes of its images.
namespace stylescope {

// A column by whose name one would look for a person: patient_name, BirthDate, MRN, accession, and
// whatever ends in id, no, nr, num, number, date or code, as SUBJID does.
bool looks_personal(const std::string& column);

class AttributeColumns {
 public:
  // visit_months, centre and reader where the table has them, and the further columns: those that
  // config.attributes names, or all. ("side" is not among them: the plan settles sides.) A column
  // is of numbers when every entry is one, else of texts. Throws Error with file and line when
  // config.attributes names no column, and, where it is empty, for columns that look personal or
  // hold dates alone, or nearly as many texts as rows.
  AttributeColumns(const CsvTable& table, const TableConfig& config);

  // By name. Of texts the row in names(); NaN where the field is empty, NA, NaN or a dot.
  std::map<std::string, double> of(const CsvRow& row) const;
  // Of the columns of texts: all texts, sorted.
  const std::map<std::string, std::vector<std::string>>& names() const { return names_; }

 private:
  void add(const CsvTable& table, const std::string& column, const std::string& file, bool chosen);

  std::vector<std::string> columns_;
  std::map<std::string, std::vector<std::string>> names_;
  bool decimal_comma_ = false;
};

}  // namespace stylescope
