#include "stages/training/progress.hpp"

#include "io/stage_state.hpp"
#include "tests/support/temp_dir.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

class ProgressFile : public testing::Test {
 protected:
  std::optional<StageProgress> read() const { return read_state<StageProgress>(file_); }

  testing_support::TempDir dir_;
  std::filesystem::path file_ = dir_ / "progress.json";
};

TEST_F(ProgressFile, SaysWhereItStandsFromTheStartToTheEnd) {
  testing::internal::CaptureStderr();
  Progress progress("gan", 1000, 4, "img", true, file_);
  EXPECT_FALSE(read());
  progress.starts_at(600);
  ASSERT_TRUE(read());
  EXPECT_EQ(read()->title, "gan");
  EXPECT_EQ(read()->step, 600);
  EXPECT_EQ(read()->total, 1000);
  EXPECT_EQ(read()->unit, "img");
  EXPECT_NEAR(read()->updated, unix_time(), 60);
  // The last step is never left out, however soon it comes.
  progress.update(1000, {{"loss", 0.5}, {"r_t", std::numeric_limits<double>::quiet_NaN()}});
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(read()->step, 1000);
  EXPECT_EQ(read()->seconds_left, 0);
  EXPECT_GT(read()->rate, 0);
  EXPECT_EQ(read()->figures, (std::vector<std::pair<std::string, double>>{{"loss", 0.5}}));
}

TEST_F(ProgressFile, IsNotWrittenAtEveryStep) {
  Progress progress("gan", 1'000'000, 1, "img", true, file_);
  progress.starts_at(0);
  const auto begin = std::chrono::steady_clock::now();
  std::optional<StageProgress> last = read();
  int64_t changes = 0, step = 0;
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(2500)) {
    progress.reached(++step);
    const auto now = read();
    changes += now->step != last->step;
    last = now;
  }
  EXPECT_GE(changes, 1);
  EXPECT_LE(changes, 3);
}

TEST_F(ProgressFile, OnlyTheRootWrites) {
  Progress progress("gan", 10, 1, "img", false, file_);
  progress.starts_at(0);
  progress.update(10, {});
  EXPECT_FALSE(read());
}

}  // namespace
}  // namespace stylescope
