#include "io/csv.hpp"

#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;

CsvTable read(const std::string& text, const std::vector<std::string>& required,
              const std::vector<std::string>& optional = {}) {
  const TempDir dir;
  std::ofstream(dir / "t.csv") << text;
  return read_csv(dir / "t.csv", required, optional);
}

std::string failure(const std::string& text, const std::vector<std::string>& required,
                    const std::vector<std::string>& optional = {}) {
  try {
    read(text, required, optional);
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

}  // namespace
}  // namespace stylescope
