#include "io/subject_key.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/private_file.hpp"
#include "tests/support/temp_dir.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;

// RFC 4231, test cases 1 and 3.
TEST(SubjectKey, IsTheStandardsHmac) {
  const TempDir dir;
  publish_private_text(dir / "one", std::string(20, '\x0b'));
  EXPECT_EQ(SubjectKey::load(dir / "one").pseudonym("Hi There"), "sb0344c61d8db3853");
  publish_private_text(dir / "three", std::string(20, '\xaa'));
  EXPECT_EQ(SubjectKey::load(dir / "three").pseudonym(std::string(50, '\xdd')),
            "s773ea91e36800e46");
}

TEST(SubjectKey, HasANameThatIsNoPseudonym) {
  const TempDir dir;
  const auto key = SubjectKey::load_or_make(dir / "key");
  EXPECT_EQ(key.id().size(), 16);
  EXPECT_EQ(SubjectKey::load(dir / "key").id(), key.id());
  EXPECT_NE(SubjectKey::load_or_make(dir / "other").id(), key.id());
  EXPECT_NE("s" + key.id(), key.pseudonym("stylescope"));
}

TEST(SubjectKey, IsMadeOnceAtRandom) {
  const TempDir dir;
  const auto name = SubjectKey::load_or_make(dir / "key").pseudonym("9001695");
  EXPECT_EQ(read_text(dir / "key").size(), 65);
  EXPECT_EQ(SubjectKey::load_or_make(dir / "key").pseudonym("9001695"), name);
  EXPECT_EQ(SubjectKey::load(dir / "key").pseudonym("9001695"), name);
  EXPECT_NE(SubjectKey::load_or_make(dir / "other").pseudonym("9001695"), name);
  const auto permissions = std::filesystem::status(dir / "key").permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace stylescope
