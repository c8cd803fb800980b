// Bad input gets a sentence: file, what is wrong, what to do, in one line, and the right exit code.
#include "io/atomic_file.hpp"
#include "io/picture.hpp"
#include "tests/end_to_end/program.hpp"
#include "tests/io/faults.hpp"

#include <fstream>
#include <sys/mount.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::SmallDisk;

// The program failed with this code, and its last words are one line that says all of `parts`;
// nothing else of what it said is an error.
void expect_sentence(const Outcome& outcome, int code, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  ASSERT_FALSE(outcome.err.empty());
  ASSERT_EQ(outcome.err.back(), '\n');
  const auto before = outcome.err.find_last_of('\n', outcome.err.size() - 2);
  const auto begin = before == std::string::npos ? 0 : before + 1;
  const std::string last = outcome.err.substr(begin, outcome.err.size() - begin - 1);
  for (const auto& part : parts) EXPECT_THAT(last, HasSubstr(part)) << outcome.err;
  EXPECT_THAT(outcome.err.substr(0, begin), Not(testing::ContainsRegex("[Ee]rror|ERROR")));
}

// Grey pictures of 16x16, each another one: no two of them are nearly the same.
void draw(const fs::path& folder, const std::vector<std::string>& names) {
  fs::create_directories(folder);
  for (const auto& name : names) {
    torch::manual_seed(std::hash<std::string>{}((folder / name).filename().string()));
    write_png(folder / name, torch::randint(0, 256, {1, 16, 16}, torch::kUInt8));
  }
}

std::vector<std::string> numbered(int from, int count) {
  std::vector<std::string> names;
  for (int i = from; i < from + count; ++i) names.push_back(std::to_string(i) + "L.png");
  return names;
}

std::vector<std::string> from_pictures(const std::vector<std::string>& more = {}) {
  auto arguments = smoke({"--set", "ingest.source=folder", "--set", "ingest.path=pictures", "--set",
                          "ingest.subject_regex=([0-9]+)[LR]", "--only", "ingest"});
  for (const auto& setting : more) arguments.insert(arguments.end(), {"--set", setting});
  return arguments;
}

TEST(BadConfiguration, TypingErrorStopsBeforeAnyWork) {
  TempDir dir;
  std::ofstream(dir / "knees.yaml") << read_text(STYLESCOPE_SMOKE) << "report:\n  titel: knees\n";
  auto text = read_text(dir / "knees.yaml");
  const auto lines = std::count(text.begin(), text.end(), '\n');
  const auto outcome = stylescope(dir.path(), {"run", "knees.yaml", "--set", "run_dir=run"});
  expect_sentence(
      outcome, 2,
      {"knees.yaml:" + std::to_string(lines), "'report.titel'", "did you mean 'report.title'"});
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  EXPECT_FALSE(fs::exists(dir / "run"));

  // Every rank finds the same; one says it.
  const auto ranks = stylescope(dir.path(), {"run", "knees.yaml", "--set", "run_dir=run"}, 2);
  EXPECT_EQ(ranks.code, 2);
  const auto first = ranks.err.find("report.titel");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(ranks.err.find("is unknown"), ranks.err.rfind("is unknown")) << ranks.err;
}

TEST(BadPictures, EmptyFolder) {
  TempDir dir;
  fs::create_directories(dir / "pictures");
  const auto outcome = stylescope(dir.path(), from_pictures());
  expect_sentence(outcome, 2, {"pictures: holds no pictures", "; check ingest.path"});
  EXPECT_FALSE(fs::exists(dir / "run"));
}

TEST(BadPictures, OneSubjectInTwoSplitFolders) {
  TempDir dir;
  for (const char* label : {"0", "1"}) {
    const int first = label[0] == '0' ? 100 : 200;
    draw(dir / "pictures/train" / label, numbered(first, 4));
    draw(dir / "pictures/val" / label, numbered(first + 10, 4));
    draw(dir / "pictures/test" / label, numbered(first + 20, 4));
  }
  const auto fine = stylescope(dir.path(), from_pictures({"ingest.split.mode=folders"}));
  EXPECT_EQ(fine.code, 0) << fine.err;
  draw(dir / "pictures/test/1", {"102R.png"});
  const auto outcome =
      stylescope(dir.path(), from_pictures({"ingest.split.mode=folders", "run_dir=another"}));
  expect_sentence(outcome, 1,
                  {"pictures: subject '102' lies in two split folders", "102L.png", "102R.png",
                   "; keep all images of a subject in one split"});
  EXPECT_FALSE(fs::exists(dir / "another/ingest"));
}

TEST(BadPictures, ACopyInAnotherSplit) {
  TempDir dir;
  for (const char* label : {"0", "1"}) {
    const int first = label[0] == '0' ? 100 : 200;
    draw(dir / "pictures/train" / label, numbered(first, 4));
    draw(dir / "pictures/val" / label, numbered(first + 10, 4));
    draw(dir / "pictures/test" / label, numbered(first + 20, 4));
  }
  fs::copy_file(dir / "pictures/test/1/221L.png", dir / "pictures/train/1/299L.png");
  const auto stopped =
      stylescope(dir.path(), from_pictures({"ingest.split.mode=folders", "ingest.keep_ids=true"}));
  expect_sentence(stopped, 1,
                  {"pictures: 1 pair of images of different splits", "train/1/299L.png (train)",
                   "test/1/221L.png (test)", "ingest.partial/audit.png",
                   "set ingest.audit.near_duplicates: drop"});
  EXPECT_TRUE(fs::exists(dir / "run/ingest.partial/audit.png"));
  const auto dropped =
      stylescope(dir.path(), from_pictures({"ingest.split.mode=folders", "ingest.keep_ids=true",
                                            "ingest.audit.near_duplicates=drop"}));
  EXPECT_EQ(dropped.code, 0) << dropped.err;
  EXPECT_THAT(read_text(dir / "run/ingest/audit.csv"), HasSubstr("yes,train/1/299L.png"));
}

TEST(BadPictures, TooManyUnreadable) {
  TempDir dir;
  draw(dir / "pictures/0", numbered(100, 20));
  draw(dir / "pictures/1", numbered(200, 20));
  const fs::path cut = dir / "pictures/0/103L.png";
  testing_support::overwrite(cut, read_text(cut).substr(0, 60));
  testing_support::overwrite(dir / "pictures/1/204L.png", "no picture at all");
  const auto outcome = stylescope(dir.path(), from_pictures());
  expect_sentence(outcome, 1,
                  {"pictures: 2 of 40 pictures cannot be used", "5 %", "0/103L.png", "1/204L.png",
                   "ingest.max_bad_fraction", "mend or remove them"});
  EXPECT_FALSE(fs::exists(dir / "run/ingest"));

  const auto allowed = stylescope(dir.path(), from_pictures({"ingest.max_bad_fraction=0.1"}));
  EXPECT_EQ(allowed.code, 0) << allowed.err;
  const std::string list = read_text(dir / "run/ingest/bad_files.csv");
  EXPECT_THAT(list, HasSubstr("0/103L.png,"));
  EXPECT_THAT(list, HasSubstr("1/204L.png,"));
}

TEST(BadRunDirectory, TruncatedImagesAreRefusedAndMadeAgain) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(),
              {"ingest", "classifier", "gan", "synthesize", "encoder", "direction"});
  fs::remove_all(dir / "run/classifier");
  const fs::path images = dir / "run/ingest/images.h5";
  fs::resize_file(images, fs::file_size(images) / 2);
  const auto refused = stylescope(dir.path(), smoke({"--only", "classifier"}));
  expect_sentence(refused, 1, {"run/ingest/images.h5: ", "; run the ingest stage again"});
  EXPECT_FALSE(fs::exists(dir / "run/classifier"));

  // A whole run makes the file again, and because it has the same bits, nothing that was trained on
  // it is trained again.
  const auto again = stylescope(dir.path(), smoke());
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("ingest: starts (its file images.h5 is missing or changed)"));
  EXPECT_THAT(again.err, HasSubstr("gan: up to date"));
  EXPECT_TRUE(fs::exists(dir / "run/ingest.old-1")) << "what was finished is kept";
  fs::remove_all(dir / "run/ingest.old-1");
  EXPECT_EQ(significant_files(dir / "run"), significant_files(undisturbed(0)));
}

TEST(BadRunDirectory, MissingShard) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(),
              {"ingest", "classifier", "gan", "synthesize", "encoder", "direction"});
  fs::remove(dir / "run/synthesize/pairs-0-of-1.h5");
  const auto refused =
      stylescope(dir.path(), smoke({"--only", "direction", "--set", "direction.c=2"}));
  expect_sentence(refused, 1,
                  {"run/synthesize/pairs-0-of-1.h5: this shard", "is missing",
                   "; run the synthesize stage again"});
  const auto again = stylescope(dir.path(), smoke({"--only", "synthesize,direction"}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("synthesize: starts (its file pairs-0-of-1.h5"));
  EXPECT_THAT(again.err, HasSubstr("direction: up to date"));
}

TEST(BadDisk, FullInTheMiddleOfTrainingAndThenGivenRoom) {
  SmallDisk disk("4m");  // one checkpoint of the classifier fits, a second does not
  SKIP_UNLESS_MOUNTED(disk);
  TempDir dir;
  const std::string place = "run_dir=" + (disk / "run").string();
  const auto full = stylescope(dir.path(), smoke({"--set", place}));
  expect_sentence(full, 1, {"error: " + (disk / "run").string() + "/", "No space left on device"});
  EXPECT_TRUE(fs::exists(disk / "run/ingest"));
  EXPECT_FALSE(fs::exists(disk / "run/report"));

  ASSERT_EQ(::mount("none", disk.path().c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  const auto again = stylescope(dir.path(), smoke({"--set", place}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(significant_files(disk / "run"), significant_files(undisturbed(0)));
}

TEST(BadDisk, ReadOnly) {
  SmallDisk disk("2m");
  SKIP_UNLESS_MOUNTED(disk);
  disk.make_read_only();
  TempDir dir;
  const std::string place = (disk / "run").string();
  const auto refused = stylescope(dir.path(), smoke({"--set", "run_dir=" + place}));
  expect_sentence(refused, 1,
                  {place, "Read-only file system", "; choose a run_dir that you may write to"});
}

TEST(StartUp, SingletonsOfSrunAreRefused) {
  TempDir dir;
  ::setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  const auto outcome = stylescope(dir.path(), smoke());
  ::unsetenv("SLURM_STEP_NUM_TASKS");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("srun started 4 tasks, but each of them is a world of one"));
  EXPECT_FALSE(fs::exists(dir / "run"));
}

TEST(StartUp, AnotherConfigurationOnOneRankIsRefused) {
  TempDir dir;
  auto arguments = smoke();
  arguments.insert(arguments.end(), {":", "-n", "1", STYLESCOPE_BINARY});
  for (const auto& word : smoke({"--set", "seed=2"})) arguments.push_back(word);
  const auto outcome = stylescope(dir.path(), arguments, 1);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("rank 1 on "));
  EXPECT_THAT(outcome.err, HasSubstr("has another configuration than rank 0"));
}

}  // namespace
}  // namespace stylescope::end_to_end
