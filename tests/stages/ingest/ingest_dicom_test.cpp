#include "io/image_set.hpp"
#include "tests/io/dicom_fixture.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using gdcm::VR;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::DicomFile;
using testing_support::IngestFixture;

constexpr const char* kMarks[] = {"MARKNAME", "MARKID", "19010203", "MARKACC"};

// A grey film of one brightness, of somebody.
DicomFile film(uint16_t brightness) {
  DicomFile file;
  file.grey(20, 20, std::vector<uint16_t>(400, brightness)).window("128", "256");
  file.text(0x00080050, VR::SH, "MARKACC").text(0x00100010, VR::PN, "MARKNAME^JOHN");
  return file.text(0x00100020, VR::LO, "MARKID").text(0x00100030, VR::DA, "19010203");
}

int brightness_of(const ImageSet& set, const std::string& path) {
  for (int64_t i = 0; i < set.size(); ++i)
    if (set.record(i).path == path) return set.read({i})[0][0][8][8].item<int>();
  ADD_FAILURE() << path << " is not in the image set";
  return -1;
}

void expect_no_marks(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string bytes = read_text(entry.path());
    for (const char* mark : kMarks) EXPECT_THAT(bytes, Not(HasSubstr(mark))) << entry.path();
  }
}

TEST(IngestDicom, IsFoundUnderEveryNameAmongOtherPictures) {
  IngestFixture f;
  f.add_classes(30);
  film(10).write(f.pictures() / "a/film.dcm");
  film(20).write(f.pictures() / "a/FILM.IMA");
  film(30).write(f.pictures() / "a/IM0001");
  film(40).write(f.pictures() / "b/1.2.840.113619.2.55");
  film(50).write(f.pictures() / "b/DICOMDIR");
  f.add_bytes("b/README", "no picture");
  f.add_bytes("b/notes.txt", "no picture");
  auto config = f.config();
  config.subject_regex = ".+";  // their ids are kept: not PatientID's
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["images"], 64);
  EXPECT_EQ(metrics["bad_files"], 0);
  const ImageSet set(f.dir / "ingest/images.h5");
  EXPECT_EQ(brightness_of(set, "a/film.dcm"), 10);
  EXPECT_EQ(brightness_of(set, "a/FILM.IMA"), 20);
  EXPECT_EQ(brightness_of(set, "a/IM0001"), 30);
  EXPECT_EQ(brightness_of(set, "b/1.2.840.113619.2.55"), 40);
  expect_no_marks(f.dir / "ingest");
}

TEST(IngestDicom, SaysWhoseItIsUnderAnotherEndingToo) {
  IngestFixture f;
  f.add_classes(30);
  film(10).write(f.pictures() / "a/film.png");
  film(20).write(f.pictures() / "a/other.tif");
  f.run(f.config());
  const ImageSet set(f.dir / "ingest/images.h5");
  int found = 0;
  for (int64_t i = 0; i < set.size(); ++i) found += set.record(i).subject == "MARKID";
  EXPECT_EQ(found, 2);
}

TEST(IngestDicom, BadOnesAreListedWithoutAWordOfPeople) {
  IngestFixture f;
  f.add_classes(30);
  film(10).text(0x00280008, VR::IS, "3").write(f.pictures() / "a/film.dcm");
  film(20).words(0x00280010, {90}).write(f.pictures() / "a/short.dcm");
  f.add("b/dot.png", 1, 1);
  auto config = f.config();
  config.max_bad_fraction = 0.1;
  EXPECT_EQ(f.run(config)["bad_files"], 3);
  const auto list = read_text(f.dir / "ingest/bad_files.csv");
  EXPECT_THAT(list, HasSubstr("a/film.dcm,holds 3 frames"));
  EXPECT_THAT(list, HasSubstr("a/short.dcm,\"is cut off (90 x 20"));
  EXPECT_THAT(list, HasSubstr("b/dot.png,\"is only 1 x 1 pixels"));
  expect_no_marks(f.dir / "ingest");
  config.max_bad_fraction = 0;
  const auto failure = f.failure(config, "failed");
  EXPECT_THAT(failure, HasSubstr("a/film.dcm: holds 3 frames"));
  for (const char* mark : kMarks) EXPECT_THAT(failure, Not(HasSubstr(mark)));
}

TEST(IngestDicom, TheConfigurationSaysHowGreysAreStretched) {
  IngestFixture f;
  f.add_classes(30);
  // The lower half a little brighter: dark and flat within its window.
  std::vector<uint16_t> values(400, 100);
  std::fill(values.begin() + 200, values.end(), 110);
  film(0).grey(20, 20, values).window("2048", "4096").write(f.pictures() / "a/film.dcm");
  auto config = f.config();
  const auto lower = [&](const std::string& name) {
    f.run(config, name);
    return brightness_of(ImageSet(f.dir / name / "images.h5"), "a/film.dcm");
  };
  EXPECT_EQ(lower("window"), 7);
  config.dicom.stretch = "full";
  EXPECT_EQ(lower("full"), 255);
  config.dicom = {"percentile", 60, 40};
  EXPECT_THAT(f.failure(config), HasSubstr("ingest.dicom.low: 60 is not below"));
}

}  // namespace
}  // namespace stylescope
