#include "io/stylegan_set.hpp"

#include "io/picture.hpp"
#include "io/zip_archive.hpp"
#include "tests/io/faults.hpp"

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;
using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

torch::Tensor noise(int64_t i, int64_t channels, int64_t side) {
  torch::manual_seed(i);
  return torch::randint(0, 256, {channels, side, side}, torch::kUInt8);
}

// Twelve images of three classes and six subjects, four a split.
ImageSet write_images(const fs::path& file, int64_t channels, int64_t side = 16) {
  ImageSetWriter writer(file, channels, side, side, {"none", "mild", "severe"}, "{}");
  for (int64_t i = 0; i < 12; ++i)
    writer.append(noise(i, channels, side), {i % 3,
                                             static_cast<Split>(i / 4),
                                             "subject " + std::to_string(i / 2),
                                             "p/" + std::to_string(i) + ".png",
                                             {}});
  writer.close();
  return ImageSet(file);
}

// A data set as dataset_tool.py leaves it, without what stylescope adds.
void write_plain(const fs::path& file, const json& dataset, int64_t pictures, int64_t side = 16) {
  ZipWriter archive(file);
  for (int64_t i = 0; i < pictures; ++i)
    archive.add("00000/img0000000" + std::to_string(i) + ".png",
                [=] { return encode_png(noise(i, 1, side)); });
  if (!dataset.is_discarded()) archive.add("dataset.json", [=] { return dataset.dump(); });
  archive.close();
}

json labels_of(const std::vector<int64_t>& labels) {
  auto list = json::array();
  for (size_t i = 0; i < labels.size(); ++i)
    list.push_back({"00000/img0000000" + std::to_string(i) + ".png", labels[i]});
  return {{"labels", list}};
}

TEST(StyleganSet, EveryPixelAndLabelComesBack) {
  const TempDir dir;
  for (const int64_t channels : {int64_t{1}, int64_t{3}})
    for (const std::string form : {".zip", ""}) {
      const auto name = std::to_string(channels) + form;
      const auto images = write_images(dir / (name + ".h5"), channels);
      const std::vector<int64_t> rows{11, 0, 5, 6, 1};
      write_stylegan_set(dir / name, images, "images.h5", rows);
      const StyleganSet set(dir / name);
      ASSERT_EQ(set.records().size(), rows.size());
      EXPECT_EQ(set.label_names(), images.label_names());
      EXPECT_TRUE(set.has_subjects());
      for (size_t i = 0; i < rows.size(); ++i) {
        const auto& record = set.records()[i];
        EXPECT_EQ(record.name, "00000/img0000000" + std::to_string(i) + ".png");
        EXPECT_EQ(record.label, images.record(rows[i]).label);
        EXPECT_EQ(record.subject, images.record(rows[i]).subject);
        EXPECT_EQ(record.split, images.record(rows[i]).split);
        EXPECT_TRUE(
            set.picture(static_cast<int64_t>(i), channels).equal(images.read({rows[i]})[0]));
      }
    }
}

// What training/dataset.py of StyleGAN2-ADA asks for: names with a picture's ending that have a
// label each, and pictures of one size, a power of two.
TEST(StyleganSet, TheLoaderOfTheReferenceFindsAllThatItNeeds) {
  const TempDir dir;
  const auto images = write_images(dir / "images.h5", 3, 32);
  std::vector<int64_t> rows(12);
  for (int64_t i = 0; i < 12; ++i) rows[static_cast<size_t>(i)] = i;
  write_stylegan_set(dir / "a.zip", images, "images.h5", rows);
  const ZipArchive archive(dir / "a.zip");
  const auto labels = json::parse(archive.read("dataset.json")).at("labels");
  std::map<std::string, int64_t> label_of;
  for (const auto& label : labels)
    label_of[label.at(0).get<std::string>()] = label.at(1).get<int64_t>();
  int64_t pictures = 0;
  for (const auto& entry : archive.entries()) {
    if (!has_picture_ending(entry.name)) continue;
    ++pictures;
    EXPECT_TRUE(label_of.contains(entry.name)) << entry.name;
    const auto pixels = decode_picture(archive.read(entry.name), entry.name, 3);
    EXPECT_EQ(pixels.sizes(), (std::vector<int64_t>{3, 32, 32}));
  }
  EXPECT_EQ(pictures, 12);
}

TEST(StyleganSet, LabelsAreNumberedWhereNothingNamesThem) {
  const TempDir dir;
  write_plain(dir / "a.zip", labels_of({2, 0, 1, 0}), 4);
  const StyleganSet set(dir / "a.zip");
  EXPECT_EQ(set.label_names(), (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_FALSE(set.has_subjects());
  EXPECT_EQ(set.records()[0].label, 2);
  EXPECT_FALSE(set.records()[0].split.has_value());
  EXPECT_TRUE(set.picture(3, 1).equal(noise(3, 1, 16)));
}

TEST(StyleganSet, WhatIsWrongWithTheLabelsIsSaid) {
  const TempDir dir;
  const auto file = dir / "a.zip", where = file / "dataset.json";
  const auto error = [&](const json& dataset) {
    write_plain(file, dataset, 2);
    return error_of([&] { StyleganSet{file}; });
  };
  expect_sentence(error(json(json::value_t::discarded)), where, {"is not there", "labels"});
  expect_sentence(error(json::array()), where, {"is no JSON object"});
  expect_sentence(error({{"labels", nullptr}}), where, {"says no labels", "two classes"});
  expect_sentence(error(json::object()), where, {"says no labels"});
  expect_sentence(error({{"labels", {{"a", 1}}}}), where, {"is no list"});
  expect_sentence(error({{"labels", json::array({"a.png"})}}), where,
                  {"entry 1 of 'labels' is of type string", "no pair"});
  expect_sentence(error({{"labels", json::array({json::array({"00000/img00000000.png", 1.5})})}}),
                  where, {"'00000/img00000000.png' is 1.5", "no whole number"});
  expect_sentence(error({{"labels", json::array({json::array({"00000/img00000000.png", -1})})}}),
                  where, {"is -1"});
  expect_sentence(error({{"labels", json::array({json::array({"gone.png", 1})})}}), where,
                  {"names 'gone.png', which is not there"});
  expect_sentence(error(labels_of({1})), where, {"no label for '00000/img00000001.png'"});
  auto twice = labels_of({1, 0});
  twice["labels"].push_back(twice["labels"][0]);
  expect_sentence(error(twice), where, {"'00000/img00000000.png' twice"});
  auto damaged = labels_of({1, 0});
  damaged["stylescope"] = {{"label_names", {"a", "b"}}, {"subjects", {"x"}}, {"splits", {"val"}}};
  expect_sentence(error(damaged), where, {"1 subjects and 1 splits for 2 labels"});
  overwrite(file, read_text(file).substr(0, 200));
  expect_sentence(error_of([&] { StyleganSet{file}; }), file, {"is cut off"});
}

TEST(StyleganSet, PicturesAreOfOneSize) {
  const TempDir dir;
  fs::create_directories(dir / "set");
  for (int64_t i = 0; i < 3; ++i)
    write_png(dir / "set" / (std::to_string(i) + ".png"), noise(i, 1, i == 1 ? 8 : 16));
  overwrite(dir / "set/dataset.json", R"({"labels":[["0.png",0],["1.png",1],["2.png",1]]})");
  const StyleganSet set(dir / "set");
  EXPECT_EQ(set.picture(2, 1).size(1), 16);
  expect_sentence(error_of([&] { set.picture(1, 1); }), dir / "set/1.png",
                  {"has 8x8 pixels, and the first picture 16x16"});
}

TEST(StyleganSet, OtherSizesAreNotWritten) {
  const TempDir dir;
  const auto images = write_images(dir / "images.h5", 1, 24);
  EXPECT_EQ(error_of([&] {
              write_stylegan_set(dir / "a.zip", images, "images.h5", {0});
            }).find("images.h5: its images have 24x24 pixels"),
            0U);
  EXPECT_FALSE(fs::exists(dir / "a.zip"));
}

}  // namespace
}  // namespace stylescope
