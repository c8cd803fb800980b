#include "io/image_set.hpp"

#include "io/hdf5_file.hpp"
#include "tests/io/faults.hpp"

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <numeric>
#include <random>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::SmallDisk;
using testing_support::TempDir;

torch::Tensor image(int64_t i, int64_t channels, int64_t size) {
  return torch::arange(channels * size * size)
      .add(i * 7)
      .remainder(251)
      .to(torch::kUInt8)
      .view({channels, size, size});
}

ImageRecord record(int64_t i) {
  const auto split = static_cast<Split>(i % 3);
  return {
      i % 2,
      split,
      "süb-" + std::to_string(i % 6),
      "a/" + std::to_string(i) + ".png",
      {{"age", i == 4 ? std::numeric_limits<double>::quiet_NaN() : 50.5 + static_cast<double>(i)},
       {"width", 0.1}}};
}

void write_set(const std::filesystem::path& file, int64_t count, int64_t channels = 3,
               int64_t size = 8) {
  ImageSetWriter writer(file, channels, size, size, {"zero", "one"}, R"({"made":"by test"})");
  for (int64_t i = 0; i < count; ++i) writer.append(image(i, channels, size), record(i));
  writer.close();
}

TEST(ImageSet, RowsMayBeTakenOutBeforeItIsFinished) {
  TempDir dir;
  ImageSetWriter writer(dir / "images.h5", 3, 8, 8, {"zero", "one"}, "{}");
  for (int64_t i = 0; i < 1300; ++i) writer.append(image(i, 3, 8), record(i));
  EXPECT_TRUE(writer.read({1200, 3})[0].equal(image(1200, 3, 8)));
  writer.leave_out({1299, 0, 700});
  EXPECT_EQ(writer.records().size(), 1297U);
  writer.close();
  const ImageSet set(dir / "images.h5");
  ASSERT_EQ(set.size(), 1297);
  int64_t row = 0;
  for (int64_t i = 0; i < 1300; ++i) {
    if (i == 0 || i == 700 || i == 1299) continue;
    EXPECT_EQ(set.record(row).path, record(i).path);
    EXPECT_TRUE(set.read({row++})[0].equal(image(i, 3, 8)));
  }
  write_set(dir / "all.h5", 1300);
  EXPECT_NE(set.id(), ImageSet(dir / "all.h5").id());
}

TEST(ImageSet, ASubjectInTwoSplitsIsNamedWithBothImages) {
  TempDir dir;
  ImageSetWriter writer(dir / "images.h5", 1, 8, 8, {"zero"}, "{}");
  writer.append(image(0, 1, 8), {0, Split::train, "p1", "a/left.png", {}});
  writer.append(image(1, 1, 8), {0, Split::test, "p1", "a/right.png", {}});
  expect_sentence(error_of([&] { writer.close(); }), dir / "images.h5",
                  {"'p1'", "train (a/left.png) and test (a/right.png)"});
}

TEST(ImageSet, NumbersOfAnAttributeMayStandForTexts) {
  TempDir dir;
  const auto write = [&](const std::string& name, bool names) {
    ImageSetWriter writer(dir / name, 1, 8, 8, {"zero", "one"}, "{}");
    for (const double scanner : {1.0, 0.0, std::numeric_limits<double>::quiet_NaN(), 2.0}) {
      auto r = record(0);
      r.attributes["scanner"] = scanner;
      writer.append(image(0, 1, 8), r);
    }
    if (names) writer.name_values("scanner", {"Agfa", "Fuji \xC3\xA4"});
    writer.close();
  };
  write("named.h5", true);
  write("plain.h5", false);
  const ImageSet set(dir / "named.h5"), plain(dir / "plain.h5");
  EXPECT_EQ(set.value_names("scanner"), (std::vector<std::string>{"Agfa", "Fuji \xC3\xA4"}));
  EXPECT_EQ(set.text(0, "scanner"), "Fuji \xC3\xA4");
  EXPECT_EQ(set.text(1, "scanner"), "Agfa");
  EXPECT_EQ(set.text(2, "scanner"), "");
  EXPECT_EQ(set.record(0).attributes.at("scanner"), 1);
  expect_sentence(error_of([&] { (void)set.text(3, "scanner"); }), dir / "named.h5",
                  {"'scanner'", "2 texts"});
  expect_sentence(error_of([&] { (void)set.text(0, "age"); }), dir / "named.h5",
                  {"'age'", "holds no texts"});
  EXPECT_TRUE(plain.value_names("scanner").empty());
  EXPECT_NE(set.id(), plain.id());
}

TEST(ImageSet, GivesBackWhatWasWritten) {
  TempDir dir;
  write_set(dir / "images.h5", 1300);  // more than one step of growth
  const ImageSet set(dir / "images.h5");
  EXPECT_EQ(set.size(), 1300);
  EXPECT_EQ(set.channels(), 3);
  EXPECT_EQ(set.height(), 8);
  EXPECT_EQ(set.width(), 8);
  EXPECT_EQ(set.label_names(), (std::vector<std::string>{"zero", "one"}));
  EXPECT_EQ(set.source_json(), R"({"made":"by test"})");
  for (const int64_t i : {0, 4, 5, 1023, 1024, 1299}) {
    const auto& found = set.record(i);
    EXPECT_EQ(found.label, i % 2);
    EXPECT_EQ(found.split, record(i).split);
    EXPECT_EQ(found.subject, record(i).subject);
    EXPECT_EQ(found.path, record(i).path);
    EXPECT_EQ(found.attributes.at("width"), 0.1);
    if (i == 4)
      EXPECT_TRUE(std::isnan(found.attributes.at("age")));
    else
      EXPECT_EQ(found.attributes.at("age"), 50.5 + static_cast<double>(i));
  }
  const auto some = set.read({1299, 0, 1024, 0});
  ASSERT_EQ(some.sizes(), (std::vector<int64_t>{4, 3, 8, 8}));
  EXPECT_TRUE(some[0].equal(image(1299, 3, 8)));
  EXPECT_TRUE(some[1].equal(image(0, 3, 8)));
  EXPECT_TRUE(some[2].equal(image(1024, 3, 8)));
  EXPECT_TRUE(some[3].equal(image(0, 3, 8)));
  EXPECT_EQ(set.read({}).size(0), 0);
  const auto val = set.indices(Split::val);
  ASSERT_EQ(val.size(), 433U);
  EXPECT_EQ(val[1], 4);
}

TEST(ImageSet, TheSameContentGivesTheSameBytes) {
  TempDir dir;
  write_set(dir / "a.h5", 20);
  write_set(dir / "b.h5", 20);
  EXPECT_EQ(read_text(dir / "a.h5"), read_text(dir / "b.h5"));
}

TEST(ImageSet, IsPublishedByCloseOnly) {
  TempDir dir;
  {
    ImageSetWriter writer(dir / "images.h5", 1, 4, 4, {"a", "b"}, "{}");
    writer.append(image(0, 1, 4), record(0));
    EXPECT_FALSE(std::filesystem::exists(dir / "images.h5"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));  // given up: nothing is left
  overwrite(dir / "images.h5.partial", "left over from a killed run");
  write_set(dir / "images.h5", 3);
  EXPECT_EQ(ImageSet(dir / "images.h5").size(), 3);
}

TEST(ImageSet, ASubjectInTwoSplitsIsRefused) {
  TempDir dir;
  ImageSetWriter writer(dir / "images.h5", 1, 4, 4, {"a", "b"}, "{}");
  writer.append(image(0, 1, 4), {0, Split::train, "9001695", "x.png", {}});
  writer.append(image(1, 1, 4), {0, Split::test, "9001695", "y.png", {}});
  expect_sentence(error_of([&] { writer.close(); }), dir / "images.h5",
                  {"'9001695'", "train (x.png) and test (y.png)", "one split only"});
  EXPECT_FALSE(std::filesystem::exists(dir / "images.h5"));
}

TEST(ImageSet, NoImagesIsAnError) {
  TempDir dir;
  ImageSetWriter writer(dir / "images.h5", 1, 4, 4, {"a"}, "{}");
  expect_sentence(error_of([&] { writer.close(); }), dir / "images.h5", {"no images"});
}

TEST(ImageSet, BrokenFilesGetOneSentence) {
  TempDir dir;
  const auto file = dir / "images.h5";
  const auto message = [&] { return error_of([&] { ImageSet set(file); }); };
  expect_sentence(message(), file, {"does not exist", "ingest stage"});
  overwrite(file, "");
  expect_sentence(message(), file, {"no HDF5 file", "ingest stage"});
  overwrite(file, std::string(5000, 'x'));
  expect_sentence(message(), file, {"no HDF5 file", "ingest stage"});
  write_set(file, 40);
  const std::string whole = read_text(file);
  for (const size_t length : {whole.size() - 1, whole.size() / 2, size_t{600}, size_t{20}}) {
    overwrite(file, whole.substr(0, length));
    expect_sentence(message(), file, {length > 500 ? "cut off" : "HDF5", "ingest stage"});
  }
}

// A well-formed file in which one thing is wrong.
std::string message_with(const TempDir& dir, const std::string& omitted, const torch::Tensor& label,
                         const torch::Tensor& split, const std::vector<std::string>& subject) {
  const auto file = dir / "images.h5";
  {
    hdf5::File out = hdf5::File::create(file, "");
    out.write_format(omitted == "format" ? "something else" : "stylescope.images", 1);
    if (omitted != "source") out.write_attribute("source", "{}");
    if (omitted != "images") out.write("images", torch::zeros({3, 1, 4, 4}, torch::kUInt8));
    if (omitted != "label") out.write("label", label);
    if (omitted != "split") out.write("split", split);
    if (omitted != "subject") out.write_strings("subject", subject);
    out.write_strings("path", {"a", "b", "c"});
    out.write_strings("label_names", {"no", "yes"});
    out.close();
  }
  std::string message = error_of([&] { ImageSet set(file); });
  expect_sentence(message, file, {"ingest stage"});
  return message;
}

TEST(ImageSet, ContentIsCheckedWhenOpened) {
  TempDir dir;
  const auto label = torch::tensor({0, 1, 1}, torch::kInt64),
             split = torch::tensor({0, 1, 2}, torch::kUInt8);
  const std::vector<std::string> subject{"p", "q", "r"};
  for (const std::string name : {"images", "label", "split", "subject", "source"})
    EXPECT_NE(message_with(dir, name, label, split, subject).find("'" + name + "' is missing"),
              std::string::npos);
  const auto expect = [&](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(message_with(dir, "format", label, split, subject), "something else");
  expect(message_with(dir, "", label.slice(0, 0, 2), split, subject),
         "'label' has shape (2), not (3)");
  expect(message_with(dir, "", label + 1, split, subject), "label 2 of image 1");
  expect(message_with(dir, "", label, split + 1, subject), "split 3 of image 2");
  expect(message_with(dir, "", label, split, {"p", "q"}), "'subject' has 2 entries for 3 images");
}

TEST(ImageSet, ASubjectInTwoSplitsIsFoundWhenOpened) {
  TempDir dir;
  const auto file = dir / "images.h5";
  hdf5::File out = hdf5::File::create(file, "");
  out.write_format("stylescope.images", 1);
  out.write_attribute("source", "{}");
  out.write("images", torch::zeros({2, 1, 4, 4}, torch::kUInt8));
  out.write("label", torch::zeros({2}, torch::kInt64));
  out.write("split", torch::tensor({1, 2}, torch::kUInt8));
  out.write_strings("subject", {"p", "p"});
  out.write_strings("path", {"a", "b"});
  out.write_strings("label_names", {"no"});
  out.close();
  expect_sentence(error_of([&] { ImageSet set(file); }), file,
                  {"'p'", "val (a) and test (b)", "one split only"});
}

TEST(ImageSet, AFullDiskIsSaidAndLeavesNothing) {
  SmallDisk disk("1m");
  SKIP_UNLESS_MOUNTED(disk);
  const std::string message = error_of([&] { write_set(disk / "images.h5", 2000, 1, 32); });
  EXPECT_NE(message.find((disk / "images.h5").string()), std::string::npos) << message;
  EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
  EXPECT_TRUE(disk.files().empty());
  write_set(disk / "images.h5", 20, 1, 32);  // the library goes on working
  EXPECT_EQ(ImageSet(disk / "images.h5").size(), 20);
}

TEST(ImageSet, AReadOnlyFolderIsSaid) {
  SmallDisk disk("1m");
  SKIP_UNLESS_MOUNTED(disk);
  write_set(disk / "images.h5", 4);
  disk.make_read_only();
  const std::string message = error_of([&] { write_set(disk / "new.h5", 4); });
  EXPECT_NE(message.find((disk / "new.h5").string()), std::string::npos) << message;
  EXPECT_NE(message.find("Read-only file system"), std::string::npos) << message;
  EXPECT_EQ(ImageSet(disk / "images.h5").size(), 4);  // reading needs no writing
}

// A figure to watch, and a bound that only a wrong layout breaks (a chunk cache that thrashes gives
// a few thousand).
TEST(ImageSet, RandomReadsAreFast) {
  TempDir dir;
  for (const auto& [channels, size, least] : {std::tuple{1, 32, 20000.0}, {3, 128, 2000.0}}) {
    const auto file = dir / ("images-" + std::to_string(size) + ".h5");
    write_set(file, 2000, channels, size);
    const ImageSet set(file);
    std::vector<int64_t> order(2000);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    const auto start = std::chrono::steady_clock::now();
    int64_t sum = 0;
    for (size_t i = 0; i < order.size(); i += 50)
      sum += set.read(at::ArrayRef<int64_t>(&order[i], 50))
                 .select(1, 0)
                 .select(1, 0)
                 .select(1, 0)
                 .sum()
                 .item<int64_t>();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    int64_t expected = 0;
    for (int64_t i = 0; i < 2000; ++i) expected += i * 7 % 251;
    EXPECT_EQ(sum, expected);
    std::cout << channels << "x" << size << "x" << size << ": "
              << static_cast<int64_t>(2000 / seconds) << " images/s\n";
#ifndef __SANITIZE_ADDRESS__
    EXPECT_GT(2000 / seconds, least);
#endif
  }
}

}  // namespace
}  // namespace stylescope
