#include "slurm/job_book.hpp"

#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::TempDir;

TEST(JobBook, ComesBackAsWritten) {
  TempDir dir;
  const SlurmFiles files(dir / "run");  // is made
  EXPECT_TRUE(read_job_book(files).stages.empty());
  JobBook book;
  StageJobs& tile = book.stages["tile"];
  tile.stage = "tile";
  tile.arrays = {11, 12};
  tile.array_tasks = {1000, 24};
  tile.job = 13;
  tile.submitted = "2026-11-25T07:00:00Z";
  StageJobs& gan = book.stages["gan"];
  gan.stage = "gan";
  gan.job = 14;
  gan.follow_ups = {15, 16};
  gan.gate = 17;
  gan.after = {"tile"};
  gan.ranks = 8;
  gan.nodes = 2;
  gan.gpus = 8;
  write_job_book(files, book);

  const auto read = read_job_book(files);
  ASSERT_EQ(read.stages.size(), 2u);
  EXPECT_EQ(read.stages.at("tile").stage, "tile");
  EXPECT_THAT(read.stages.at("tile").array_tasks, ElementsAre(1000, 24));
  EXPECT_THAT(read.stages.at("tile").ids(), ElementsAre(11, 12, 13));
  EXPECT_EQ(read.stages.at("tile").submitted, "2026-11-25T07:00:00Z");
  EXPECT_THAT(read.stages.at("gan").ids(), ElementsAre(14, 15, 16, 17));
  EXPECT_THAT(read.stages.at("gan").after, ElementsAre("tile"));
  EXPECT_EQ(read.stages.at("gan").ranks, 8);
  EXPECT_EQ(read.stages.at("gan").nodes, 2);
  EXPECT_EQ(read.stages.at("gan").gpus, 8);
  write_job_book(files, {});
  EXPECT_TRUE(read_job_book(files).stages.empty());
}

TEST(JobBook, DamagedIsSaid) {
  TempDir dir;
  const SlurmFiles files(dir.path());
  write_job_book(files, {});
  for (const char* text :
       {"{\"stages\": {\"gan\"", "{}", "{\"stages\": {\"gan\": {\"job\": 3}}}"}) {
    std::ofstream(files.book()) << text;
    try {
      read_job_book(files);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("jobs.json: is damaged")) << text;
    }
  }
}

}  // namespace
}  // namespace stylescope
