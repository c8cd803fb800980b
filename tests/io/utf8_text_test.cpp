#include "io/utf8_text.hpp"

#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;

std::string read(const std::string& bytes) {
  const TempDir dir;
  std::ofstream(dir / "t.csv", std::ios::binary) << bytes;
  return read_utf8(dir / "t.csv");
}

std::string failure(const std::string& bytes) {
  try {
    read(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Utf8Text, TellsWhatIsNone) {
  constexpr auto npos = std::string_view::npos;
  EXPECT_EQ(first_not_utf8(""), npos);
  EXPECT_EQ(first_not_utf8("abc \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"), npos);
  EXPECT_EQ(first_not_utf8("ab\xE4xyz"), 2);         // Latin-1
  EXPECT_EQ(first_not_utf8("ab\x80"), 2);            // nothing before it
  EXPECT_EQ(first_not_utf8("\xC3"), 0);              // cut off
  EXPECT_EQ(first_not_utf8("\xC0\x80"), 0);          // too long for what it means
  EXPECT_EQ(first_not_utf8("\xE0\x80\x80"), 0);      // the same
  EXPECT_EQ(first_not_utf8("\xED\xA0\x80"), 0);      // half of a UTF-16 pair
  EXPECT_EQ(first_not_utf8("\xF4\x90\x80\x80"), 0);  // past U+10FFFF
  EXPECT_EQ(first_not_utf8("\xF5\x80\x80\x80"), 0);  // there is no such byte
}

TEST(Utf8Text, ReadsTextAndNamesOtherEncodings) {
  EXPECT_EQ(read("\xEF\xBB\xBFpath\r\nb\n"), "path\r\nb\n");
  EXPECT_EQ(read("path\rb\r"), "path\nb\n");
  EXPECT_NE(failure("a\nb\nc\xE4\n").find("t.csv:3: is not UTF-8 (its byte 0xE4"),
            std::string::npos);
  EXPECT_NE(failure(std::string("\xFF\xFEh\0", 4)).find("is UTF-16 text; save it as UTF-8"),
            std::string::npos);
  EXPECT_NE(failure(std::string("\xFF\xFE\0\0h\0\0\0", 8)).find("is UTF-32"), std::string::npos);
  EXPECT_NE(failure(std::string("a\nb\0", 4)).find("t.csv:2: holds a zero byte"),
            std::string::npos);
}

}  // namespace
}  // namespace stylescope
