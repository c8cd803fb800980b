#include "tests/end_to_end/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;

// What a smoke configuration says, but for `run` itself.
std::vector<std::string> arguments(const std::vector<std::string>& more) {
  std::vector<std::string> words{"verify-resume", STYLESCOPE_SMOKE, "--set", "run_dir=run",
                                 "--set",         "threads=1",      "--dir", "."};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(VerifyResume, ProvesTheSameBitsOnTwoRanks) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(), {"ingest", "classifier", "gan", "synthesize"});
  const auto outcome = stylescope(
      dir.path(), arguments({"--ranks", "2", "--steps", "10", "--stage", "gan,encoder"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("gan: 10 steps, killed in step "));
  EXPECT_THAT(outcome.out, HasSubstr("encoder: 10 steps, killed in step "));
  EXPECT_THAT(outcome.out, HasSubstr("the same bits in all "));
}

TEST(VerifyResume, MakesTheInputsThatAreNotThere) {
  TempDir dir;
  const auto outcome =
      stylescope(dir.path(), arguments({"--steps", "6", "--stage", "classifier", "--kills", "1"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("classifier: makes 'ingest' first"));
  EXPECT_THAT(outcome.out, HasSubstr("classifier: 6 steps, killed in step "));
}

TEST(VerifyResume, SaysWhatDoesNotWork) {
  TempDir dir;
  const auto unknown = stylescope(dir.path(), arguments({"--stage", "direction"}));
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("there are classifier, gan and encoder"));
}

TEST(VerifyResume, AShorterStageIsComparedWhole) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(), {"ingest"});
  const auto outcome =
      stylescope(dir.path(), arguments({"--steps", "500", "--stage", "classifier"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("classifier: all 11 steps, killed in step "));
  EXPECT_THAT(outcome.out, HasSubstr("the same bits in all files"));
}

}  // namespace
}  // namespace stylescope::end_to_end
