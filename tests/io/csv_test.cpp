#include "io/csv.hpp"

#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;

CsvTable read(const std::string& text, const std::vector<std::string>& required,
              const std::vector<std::string>& optional = {}, const CsvFormat& format = {}) {
  const TempDir dir;
  std::ofstream(dir / "t.csv") << text;
  return read_csv(dir / "t.csv", required, optional, format);
}

std::string failure(const std::string& text, const std::vector<std::string>& required,
                    const std::vector<std::string>& optional = {}, const CsvFormat& format = {}) {
  try {
    read(text, required, optional, format);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Csv, QuotesLineBreaksByteOrderMarkAndCarriageReturns) {
  const auto table = read(
      "\xEF\xBB\xBFslide, class\r\n\"a, b.svs\",normal\r\n\r\n\"two\nlines \"\"x\"\"\",\r\nlast",
      {"slide"}, {"class"});
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0]["slide"], "a, b.svs");
  EXPECT_EQ(table.rows[0]["class"], "normal");
  EXPECT_EQ(table.rows[1]["slide"], "two\nlines \"x\"");
  EXPECT_EQ(table.rows[1]["class"], "");
  EXPECT_EQ(table.rows[2]["slide"], "last");
  EXPECT_EQ(table.rows[2]["class"], "");
  EXPECT_EQ(table.rows[2].line, 6);
  EXPECT_TRUE(table.has("class"));
  EXPECT_FALSE(table.has("split"));
}

TEST(Csv, ErrorsNameTheLine) {
  EXPECT_NE(failure("slide,clas\na,b\n", {"slide"}, {"class"})
                .find("t.csv:1: column 'clas' is unknown; did you mean 'class'?"),
            std::string::npos);
  EXPECT_NE(failure("file\na\n", {"slide"}).find("has no column 'slide'"), std::string::npos);
  EXPECT_NE(failure("slide,class\na,b,c\n", {"slide"}).find("t.csv:2: has 3 fields for 2 columns"),
            std::string::npos);
  EXPECT_NE(failure("slide,class\n,b\n", {"slide"}).find("t.csv:2: field 'slide' is empty"),
            std::string::npos);
  EXPECT_NE(failure("slide\n\"a\n", {"slide"}).find("t.csv:2: a quotation mark is not closed"),
            std::string::npos);
  EXPECT_NE(failure("", {"slide"}).find("is empty"), std::string::npos);
  EXPECT_NE(failure("a,a\n1,2\n", {"a"}).find("column 'a' stands twice"), std::string::npos);
}

TEST(Csv, FindsTheSeparator) {
  for (const std::string separator : {",", ";", "\t", "|"}) {
    const auto table = read(
        "a" + separator + "\"b,;|\"" + separator + "c\r\n1" + separator + separator + "\" x\"\n",
        {"a"}, {}, {.separator = 0});
    EXPECT_EQ(table.separator, separator.front());
    EXPECT_EQ(table.columns, (std::vector<std::string>{"a", "b,;|", "c"}));
    EXPECT_EQ(table.rows.at(0)["a"], "1");
    EXPECT_EQ(table.rows.at(0)["b,;|"], "");
    EXPECT_EQ(table.rows.at(0)["c"], " x");
  }
  EXPECT_EQ(read("a\n1\n", {"a"}, {}, {.separator = 0}).separator, ',');
  EXPECT_EQ(separator_of("tab"), '\t');
  EXPECT_EQ(separator_of("auto"), 0);
  EXPECT_NE(failure("slide;class\na;b\n", {"slide"})
                .find("t.csv:1: its fields are separated by ';', and a comma is expected"),
            std::string::npos);
}

TEST(Csv, WholeRowsHaveAFieldForEachColumn) {
  const CsvFormat whole{.whole_rows = true};
  EXPECT_EQ(read("a,b\n1,\n", {"a"}, {}, whole).rows.size(), 1u);
  EXPECT_NE(failure("a,b\n1\n", {"a"}, {}, whole).find("t.csv:2: has 1 field for 2 columns"),
            std::string::npos);
  EXPECT_NE(failure("a,\n1,2\n", {"a"}, {}, whole).find("t.csv:1: column 2 has no name"),
            std::string::npos);
  EXPECT_NE(failure("a,b\n\"x\" y,1\n", {"a"}).find("t.csv:2: goes on after a closing quotation"),
            std::string::npos);
}

}  // namespace
}  // namespace stylescope
