#include "stages/ingest/zip_plan.hpp"

#include "io/atomic_file.hpp"
#include "io/stylegan_set.hpp"
#include "io/zip_archive.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

#include <map>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::IngestFixture;

torch::Tensor noise(int64_t i, int64_t side = 16) {
  torch::manual_seed(100 + i);
  return torch::randint(0, 256, {1, side, side}, torch::kUInt8);
}

// A data set without anything of stylescope's: picture i of subject i / 2 and class i % 2, under
// the name "<subject>/<i>.png".
std::string name_of(int64_t i) {
  return "s" + std::to_string(10 + i / 2) + "/" + std::to_string(100 + i) + ".png";
}

void write_plain(const fs::path& file, int64_t count, const std::map<int64_t, std::string>& other,
                 const std::string& labels = "") {
  ZipWriter archive(file);
  std::string list;
  for (int64_t i = 0; i < count; ++i) {
    const auto replaced = other.find(i);
    archive.add(name_of(i), [bytes = replaced == other.end() ? encode_png(noise(i))
                                                             : replaced->second] { return bytes; });
    list += (i ? "," : "") + std::string("[\"") + name_of(i) + "\"," + std::to_string(i % 2) + "]";
  }
  archive.add("dataset.json",
              [text = labels.empty() ? "{\"labels\":[" + list + "]}" : labels] { return text; });
  archive.close();
}

IngestConfig zip_config(const IngestFixture& fixture) {
  auto config = fixture.config();
  config.source = "zip";
  config.path = (fixture.dir / "set.zip").string();
  return config;
}

std::map<std::string, ImageRecord> by_path(const ImageSet& set) {
  std::map<std::string, ImageRecord> records;
  for (int64_t i = 0; i < set.size(); ++i) records[set.record(i).path] = set.record(i);
  return records;
}

// images.h5 -> zip (or folder) -> ingest: the same pixels, labels, subjects and splits, bit by bit.
TEST(IngestZip, WhatWasExportedComesBackAsItWas) {
  IngestFixture f;
  f.add_classes(1);  // makes the folder
  for (int64_t i = 0; i < 40; ++i)
    write_png(f.pictures() / (i % 2 == 0 ? "a" : "b") /
                  ("p" + std::to_string(i / 2) + "-" + std::to_string(i) + ".png"),
              noise(i, 20));
  fs::remove(f.pictures() / "a/a100.png");
  fs::remove(f.pictures() / "b/b100.png");
  auto config = f.config();
  config.subject_regex = "^(p[0-9]+)-";
  f.run(config, "first");
  const ImageSet first(f.dir / "first/images.h5");
  std::vector<int64_t> all(static_cast<size_t>(first.size()));
  std::iota(all.begin(), all.end(), 0);
  for (const std::string out : {"set.zip", "set"}) {
    write_stylegan_set(f.dir / out, first, "images.h5", all);
    auto again = zip_config(f);
    again.path = (f.dir / out).string();
    again.split.mode = "folders";
    f.run(again, "again-" + out);
    const ImageSet second(f.dir / ("again-" + out) / "images.h5");
    ASSERT_EQ(second.size(), first.size());
    EXPECT_EQ(second.label_names(), first.label_names());
    EXPECT_TRUE(second.read(all).equal(first.read(all)));
    for (const int64_t i : all) {
      EXPECT_EQ(second.record(i).label, first.record(i).label);
      EXPECT_EQ(second.record(i).subject, first.record(i).subject);
      EXPECT_EQ(second.record(i).split, first.record(i).split);
    }
  }
}

TEST(IngestZip, SubjectsComeFromTheNamesOrAreUnknown) {
  IngestFixture f;
  write_plain(f.dir / "set.zip", 40, {});
  auto config = zip_config(f);
  const auto alone = f.run(config, "alone");
  EXPECT_EQ(alone.at("train_subjects"), alone.at("train_images"));
  config.subject_regex = "^(s[0-9]+)/";
  f.run(config, "grouped");
  const ImageSet set(f.dir / "grouped/images.h5");
  EXPECT_EQ(set.size(), 40);
  EXPECT_EQ(set.label_names(), (std::vector<std::string>{"0", "1"}));
  const auto records = by_path(set);
  EXPECT_EQ(records.at(name_of(4)).subject, "s12");
  EXPECT_EQ(records.at(name_of(4)).split, records.at(name_of(5)).split);
  for (int64_t i = 0; i < set.size(); ++i)
    EXPECT_TRUE(set.read({i})[0].equal(noise(i)));  // names sort as numbers here
}

TEST(IngestZip, DamagedPicturesAreListedAndLeftOut) {
  IngestFixture f;
  // Stored bytes that differ from the checksum; a picture of another size; no picture.
  write_plain(f.dir / "set.zip", 100, {{7, encode_png(noise(7, 32))}, {9, "no picture"}});
  std::string bytes = read_text(f.dir / "set.zip");
  const auto at = bytes.find(encode_png(noise(50)));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 100] = static_cast<char>(bytes[at + 100] ^ 1);
  std::ofstream(f.dir / "set.zip", std::ios::binary) << bytes;
  auto config = zip_config(f);
  EXPECT_THAT(f.failure(config), HasSubstr("3 of 100 pictures cannot be used"));
  config.max_bad_fraction = 0.03;
  for (const int64_t threads : {1, 4}) {
    config.threads = threads;
    EXPECT_EQ(f.run(config).at("bad_files"), 3);
    const auto list = read_text(f.dir / "ingest/bad_files.csv");
    EXPECT_THAT(list,
                HasSubstr("\n" + name_of(7) + ",\"has 32x32 pixels, and the first picture 16x16"));
    EXPECT_THAT(list, HasSubstr("\n" + name_of(9) + ","));
    EXPECT_THAT(list, HasSubstr("'" + name_of(50) + "' is damaged"));
  }
}

TEST(IngestZip, NamesThatTellWhoItIsAreNotListed) {
  IngestFixture f;
  write_plain(f.dir / "set.zip", 40, {{7, encode_png(noise(7, 32))}, {9, "no picture"}});
  auto config = zip_config(f);
  config.keep_ids = false;
  config.max_bad_fraction = 0.2;
  EXPECT_EQ(f.run(config).at("bad_files"), 2);
  const auto list = read_text(f.dir / "ingest/bad_files.csv");
  EXPECT_THAT(list, HasSubstr("\ndataset.json entry 8,\"has 32x32 pixels"));
  EXPECT_THAT(list, HasSubstr("\ndataset.json entry 10,"));
  EXPECT_THAT(list, Not(HasSubstr("/1")));
  EXPECT_THAT(read_text(f.dir / "subject_map.csv"), HasSubstr("," + name_of(7) + ","));
}

TEST(IngestZip, PicturesAreReadAsIngestIsTold) {
  IngestFixture f;
  write_plain(f.dir / "set.zip", 40, {});
  auto config = zip_config(f);
  config.resolution = 256;
  EXPECT_THAT(f.failure(config), HasSubstr("too small for a picture of 256 x 256"));
}

TEST(IngestZip, WhatCannotBeTrainedOnIsSaid) {
  IngestFixture f;
  const auto config = zip_config(f);
  EXPECT_THAT(f.failure(config), HasSubstr("set.zip: is no file that can be read"));
  write_plain(f.dir / "set.zip", 4, {}, R"({"labels": null})");
  EXPECT_THAT(f.failure(config), HasSubstr("says no labels"));
  // Nested more deeply than the stack.
  const std::string nested = std::string(200'000, '[') + std::string(200'000, ']');
  write_plain(f.dir / "set.zip", 4, {}, "{\"labels\": [" + nested + "]}");
  EXPECT_THAT(f.failure(config), HasSubstr("entry 1 of 'labels' is of type array"));
  const auto labelled = [&](const std::vector<int>& labels) {
    std::string list;
    for (size_t i = 0; i < labels.size(); ++i)
      list += (i ? "," : "") + std::string("[\"") + name_of(static_cast<int64_t>(i)) + "\"," +
              std::to_string(labels[i]) + "]";
    write_plain(f.dir / "set.zip", std::ssize(labels), {}, "{\"labels\":[" + list + "]}");
  };
  labelled({0, 0, 0});
  EXPECT_THAT(f.failure(config), HasSubstr("only one class, '0'"));
  labelled({0, 3, 0});
  EXPECT_THAT(f.failure(config), HasSubstr("class '1' (label 1) has no pictures"));
  auto named = config;
  named.class_names = {"healthy", "ill"};
  EXPECT_THAT(f.failure(named), HasSubstr("has label 3, and ingest.class_names has 2 names"));
  labelled({0, 1, 0});
  auto folders = config;
  folders.split.mode = "folders";
  EXPECT_THAT(f.failure(folders), HasSubstr("knows no splits"));
  folders.split.halve_val = true;
  EXPECT_THAT(f.failure(folders), HasSubstr("ingest.split.halve_val"));
}

TEST(IngestZip, TheFingerprintFollowsTheFile) {
  IngestFixture f;
  EXPECT_THROW(ingest_fingerprint(zip_config(f)), Error);
  write_plain(f.dir / "set.zip", 4, {});
  const auto before = ingest_fingerprint(zip_config(f));
  EXPECT_EQ(before, ingest_fingerprint(zip_config(f)));
  write_plain(f.dir / "set.zip", 5, {});
  EXPECT_NE(before, ingest_fingerprint(zip_config(f)));
}

// Or else a run would take what became damaged as unchanged.
TEST(IngestZip, ADamagedFolderHasAFingerprintAndAMissingOneNone) {
  IngestFixture f;
  auto config = zip_config(f);
  config.path = (f.dir / "set").string();
  EXPECT_THROW(ingest_fingerprint(config), Error);
  fs::create_directories(f.dir / "set");
  EXPECT_THROW(ingest_fingerprint(config), Error);
  write_png(f.dir / "set/a.png", noise(0));
  std::ofstream(f.dir / "set/dataset.json") << R"({"labels": [["a.png", 0]]})";
  const auto before = ingest_fingerprint(config);
  std::ofstream(f.dir / "set/dataset.json") << R"({"labels": [["a.png")";
  EXPECT_NE(before, ingest_fingerprint(config));
}

}  // namespace
}  // namespace stylescope
