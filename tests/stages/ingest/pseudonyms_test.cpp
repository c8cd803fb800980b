#include "stages/ingest/subject_map.hpp"
#include "tests/io/dicom_fixture.hpp"
#include "tests/stages/ingest/table_fixture.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing_support::TableFixture;

constexpr const char* kMark = "MARK4711";  // begins whatever must reach no output

unsigned mode_of(const fs::path& file) {
  struct stat status {};
  EXPECT_EQ(::stat(file.c_str(), &status), 0);
  return status.st_mode & 0777U;
}

// 40 pictures of 20 subjects; the marks are in paths and subjects.
std::string marked_rows(const TableFixture& f) {
  std::string text = "path,label,subject,centre\n";
  for (int i = 0; i < 40; ++i) {
    const std::string id = kMark + std::to_string(i / 2);
    const std::string path = id + "/" + kMark + "-" + std::to_string(i) + ".png";
    f.add(path, 2 * i);
    text += path + "," + std::to_string(i / 2 % 2) + "," + id + ",north\n";
  }
  return text;
}

IngestConfig hashed(IngestConfig config) {
  config.keep_ids = false;
  config.max_bad_fraction = 0.2;
  return config;
}

std::string files_with(const fs::path& folder, const std::string& mark) {
  std::string found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && read_text(entry.path()).find(mark) != std::string::npos)
      found += entry.path().filename().string() + " ";
  return found;
}

TEST(Pseudonyms, NoMarkReachesAnyOutputOfATable) {
  TableFixture f;
  const auto text = marked_rows(f);
  // Unreadable and missing: both stand in bad_files.csv.
  f.add_bytes(std::string(kMark) + "-bad.png", "no picture");
  auto config = hashed(f.table(text + kMark + "-bad.png,1,MARK4711x,north\n" + kMark +
                               "-gone.png,1,MARK4711y,north\n"));
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  const auto metrics = f.run(config);
  spdlog::set_default_logger(before);
  EXPECT_EQ(metrics["images"], 40);
  EXPECT_EQ(metrics["bad_files"], 2);
  EXPECT_EQ(files_with(f.dir / "ingest", kMark), "");
  EXPECT_THAT(metrics.dump() + log.str(), Not(HasSubstr(kMark)));
  EXPECT_THAT(log.str(), HasSubstr("2 of 42 pictures left out"));
  EXPECT_THAT(f.text_of("ingest/bad_files.csv"), HasSubstr("\nfilms.csv:42,"));
  EXPECT_THAT(f.text_of("ingest/bad_files.csv"), HasSubstr("\nfilms.csv:43,is not there"));

  const auto set = f.images();
  EXPECT_THAT(set.record(0).subject, MatchesRegex("s[0-9a-f]+"));
  EXPECT_EQ(set.record(0).subject.size(), 17);
  EXPECT_EQ(set.record(1).path, set.record(0).subject + "/2");
  EXPECT_EQ(set.record(0).subject, set.record(1).subject);
  EXPECT_NE(set.record(0).subject, set.record(2).subject);

  // Whoever may read the key finds the picture again.
  EXPECT_EQ(mode_of(f.dir / "subject.key"), 0600);
  EXPECT_EQ(mode_of(f.dir / "subject_map.csv"), 0600);
  EXPECT_THAT(f.text_of("subject_map.csv"),
              HasSubstr("\n3," + set.record(3).path + ",MARK47111/MARK4711-3.png,MARK47111," +
                        set.record(3).subject + "\n"));
  EXPECT_THAT(f.text_of("subject_map.csv"), HasSubstr(",MARK4711-bad.png,MARK4711x,s"));
}

// Of two names of one film the first is that which it is read by.
TEST(Pseudonyms, NoMarkReachesTheListThroughAnotherNameOfTheFile) {
  TableFixture f;
  std::string text = "path,label,subject,side\n";
  for (int i = 0; i < 20; ++i) {
    const std::string id = kMark + std::to_string(i), number = std::to_string(i % 2);
    f.add(id + ".png", i);
    text += id + ".png," + number + "," + id + ",R\n";
    text += "./" + id + ".png," + number + "," + id + ",L\n";
  }
  f.add_bytes(std::string(kMark) + "3.png", "no picture");
  auto config = hashed(f.table(text));
  config.knees.bilateral = "split";
  EXPECT_EQ(f.run(config)["bad_files"], 2);
  EXPECT_EQ(files_with(f.dir / "ingest", kMark), "");
}

TEST(Pseudonyms, TheSplitAndThePixelsDependOnNeitherKeyNorIds) {
  TableFixture f;
  auto config = hashed(f.table(marked_rows(f)));
  f.run(config, "random");
  f.write("key", "0123456789abcdef0123456789abcdef");
  fs::permissions(f.file("key"), fs::perms::owner_read);
  config.id_key_file = f.file("key").string();
  f.run(config, "own");
  f.run(config, "again");
  config.id_key_file = "", config.keep_ids = true;
  f.run(config, "kept");
  const auto random = f.images("random"), own = f.images("own"), kept = f.images("kept");
  std::vector<int64_t> all;
  for (int64_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(random.record(i).split, kept.record(i).split);
    EXPECT_EQ(own.record(i).split, kept.record(i).split);
    EXPECT_NE(own.record(i).subject, random.record(i).subject);
    EXPECT_EQ(kept.record(i).subject, kMark + std::to_string(i / 2));
    all.push_back(i);
  }
  EXPECT_TRUE(own.read(all).equal(kept.read(all)));
  EXPECT_EQ(f.text_of("own/images.h5"), f.text_of("again/images.h5"));
  EXPECT_THAT(own.source_json(),
              HasSubstr("\"subject_key\":\"" + SubjectKey::load(f.file("key")).id() + "\""));
  EXPECT_THAT(kept.source_json(), Not(HasSubstr("subject_key")));
}

TEST(Pseudonyms, StandForTheSubjectsOfAFolderToo) {
  TableFixture f;
  for (int i = 0; i < 40; ++i)
    f.add(std::to_string(i % 4 / 2) + "/" + kMark + std::to_string(i / 2) + (i % 2 ? "L" : "R") +
              ".png",
          i);
  auto config = hashed(f.config());
  config.subject_regex = std::string(kMark) + "([0-9]+)";
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["train_subjects"], 14);
  EXPECT_EQ(files_with(f.dir / "ingest", kMark), "");
  // The key stays, and with it the pseudonyms.
  const auto first = f.images().record(0).subject;
  f.run(config, "again");
  EXPECT_EQ(f.images("again").record(0).subject, first);
  fs::remove(f.dir / "subject.key");
  f.run(config, "anew");
  EXPECT_NE(f.images("anew").record(0).subject, first);
}

// Bright on the right of the picture; left knees are to be mirrored.
TEST(Pseudonyms, StandForThePatientsOfDicomFiles) {
  TableFixture f;
  fs::create_directories(f.pictures());
  std::vector<uint16_t> values(400);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 20 < 10 ? 10 : 4000;
  std::string text = "path,label\n";
  for (int i = 0; i < 40; ++i) {
    const std::string name = "d" + std::to_string(i) + ".dcm";
    testing_support::DicomFile()
        .text(0x00080050, gdcm::VR::SH, std::string(kMark) + "-A")
        .text(0x00100010, gdcm::VR::PN, std::string(kMark) + "^Jane")
        .text(0x00100020, gdcm::VR::LO, kMark + std::to_string(i / 2))
        .text(0x00100030, gdcm::VR::DA, "19470211")
        .text(0x00200060, gdcm::VR::CS, i % 2 ? "L" : "R")
        .grey(20, 20, values, 12)
        .write(f.file(name));
    text += name + "," + std::to_string(i / 2 % 2) + "\n";
  }
  auto config = f.table(text);
  config.knees.mirror = "left";
  config.audit.near_duplicates = "off";  // all look alike
  f.run(config, "kept");
  EXPECT_EQ(f.images("kept").record(7).subject, "MARK47113");
  const auto metrics = f.run(hashed(config));
  EXPECT_EQ(metrics["train_subjects"], 14);
  EXPECT_EQ(metrics["images"], 40);
  for (const auto* mark : {kMark, "Jane", "19470211"})
    EXPECT_EQ(files_with(f.dir / "ingest", mark), "");
  const auto set = f.images();
  for (int64_t i = 0; i < set.size(); ++i) {
    EXPECT_EQ(set.text(i, "side"), i % 2 ? "L" : "R");
    EXPECT_EQ(set.read({i})[0][0][8][0].item<int64_t>() > 128, i % 2 == 1);
  }
  EXPECT_EQ(set.record(6).subject, set.record(7).subject);
  EXPECT_NE(set.record(7).subject, set.record(8).subject);
}

TEST(Pseudonyms, StandInTheListOfReadingsToo) {
  TableFixture f;
  std::string films = "path,subject,side,visit_months\n", readings = "subject,side,grade\n";
  for (int i = 0; i < 20; ++i) {
    const std::string id = kMark + std::to_string(i);
    f.add("p" + std::to_string(i) + ".png", i);
    films += "p" + std::to_string(i) + ".png," + id + ",R,0\n";
    for (int row = 0; row < 2; ++row) readings += id + ",R," + std::to_string(i % 2) + "\n";
  }
  f.write("readings.csv", readings);
  auto config = hashed(f.table(films));
  config.knees.readings.files = {f.file("readings.csv").string()};
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["readings_same"], 20);
  EXPECT_EQ(files_with(f.dir / "ingest", kMark), "");
  EXPECT_THAT(f.text_of("ingest/readings.csv"),
              HasSubstr("same," + f.images().record(0).subject + ",R,,0,readings.csv:2=0; "));
}

TEST(Pseudonyms, DrawnKneesAreNobody) {
  TableFixture f;
  IngestConfig config;
  config.phantom.subjects = 20;
  f.run(config);
  EXPECT_EQ(f.images().record(0).subject, "knee-000000");
  EXPECT_FALSE(fs::exists(f.dir / "subject.key"));
  EXPECT_FALSE(fs::exists(f.dir / "subject_map.csv"));
}

TEST(Pseudonyms, AKeyThatEverybodyReadsIsRefused) {
  TableFixture f;
  auto config = hashed(f.table(marked_rows(f)));
  config.id_key_file = f.file("key").string();
  EXPECT_THAT(f.failure(config), HasSubstr("key: is no file that can be read"));
  f.write("key", "0123456789abcdef");
  fs::permissions(f.file("key"), fs::perms::owner_read | fs::perms::others_read);
  EXPECT_THAT(f.failure(config), HasSubstr("everybody may read this key"));
  fs::permissions(f.file("key"), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(f.failure(config), "");
  const auto before = ingest_fingerprint(config);
  f.write("key", "0123456789abcdef0");
  EXPECT_NE(ingest_fingerprint(config), before);
  f.write("key", "0123456789abcde");
  EXPECT_THAT(f.failure(config, "short"), HasSubstr("has 15 bytes"));
}

}  // namespace
}  // namespace stylescope
