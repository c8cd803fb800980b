// A table of films of both knees, all stages, by the program on two ranks: what its names were
// stands in no file of the run but those that are the user's own.
#include "io/atomic_file.hpp"
#include "io/picture.hpp"
#include "tests/end_to_end/program.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kMark = "MARK4711";

// 32 subjects, a film and two rows each: the label is how bright a knee is. A film that cannot be
// read and one that is not there come last.
void make_table(const fs::path& folder) {
  std::string table = "path,subject,side,label,age,centre\n";
  const auto row = [&](const std::string& path, const std::string& subject, int i) {
    for (const int side : {0, 1})
      table += path + "," + subject + "," + (side ? "R" : "L") + "," +
               ((i + side) % 2 ? "diseased" : "healthy") + "," + std::to_string(50 + i) +
               ",north\n";
  };
  fs::create_directories(folder / kMark);
  for (int i = 0; i < 32; ++i) {
    auto film = torch::arange(40, torch::kInt64).mul(2 + i % 3).view({1, 1, 40}).repeat({1, 20, 1});
    film.slice(2, i % 2 ? 0 : 20, i % 2 ? 20 : 40).add_(100);
    const std::string path = std::string(kMark) + "/" + kMark + std::to_string(i) + ".png";
    write_png(folder / path, film.to(torch::kUInt8));
    row(path, kMark + std::to_string(i), i);
  }
  std::ofstream(folder / kMark / "bad.png") << kMark;
  row(std::string(kMark) + "/bad.png", std::string(kMark) + "x", 0);
  row(std::string(kMark) + "/gone.png", std::string(kMark) + "y", 0);
  std::ofstream(folder / "films.csv") << table;
}

TEST(Pseudonyms, NoNameReachesAnyFileOfARun) {
  TempDir dir;
  make_table(dir.path());
  std::vector<std::string> settings;
  for (const char* setting :
       {"ingest.source=table", "ingest.table.file=films.csv", "ingest.knees.bilateral=split",
        "ingest.knees.mirror=left", "ingest.max_bad_fraction=0.1",
        // All look alike, and the audit lists them all.
        "ingest.class_names=[healthy, diseased]", "ingest.audit.near_duplicates=warn",
        // Among the scores of an f that was trained for six steps.
        "direction.threshold=0.45"})
    settings.insert(settings.end(), {"--set", setting});
  const auto outcome = stylescope(dir.path(), smoke(settings), 2);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr(kMark)));
  EXPECT_THAT(outcome.err, HasSubstr("ingest: 4 of 68 pictures left out"));
  EXPECT_THAT(read_text(dir / "run/ingest/bad_files.csv"), HasSubstr("\nfilms.csv:66 (L),"));
  for (const char* file : {"images.h5", "audit.csv", "audit.png"})
    EXPECT_TRUE(fs::exists(dir / "run/ingest" / file)) << file;
  EXPECT_TRUE(fs::exists(dir / "run/report/index.html"));
  for (const auto& entry : fs::recursive_directory_iterator(dir / "run")) {
    const auto name = entry.path().filename().string();
    EXPECT_EQ(name.find(kMark), std::string::npos) << entry.path();
    if (!entry.is_regular_file() || name == "subject_map.csv") continue;
    EXPECT_EQ(read_text(entry.path()).find(kMark), std::string::npos) << entry.path();
  }
  EXPECT_THAT(read_text(dir / "run/subject_map.csv"), HasSubstr("MARK4711/MARK47110.png"));
}

}  // namespace
}  // namespace stylescope::end_to_end
