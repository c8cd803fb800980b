#include "io/hdf5_file.hpp"
#include "io/image_set.hpp"
#include "tests/io/faults.hpp"
#include "tests/io/image_samples.hpp"

#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include <hdf5.h>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::expected_image;
using testing_support::flip_byte;
using testing_support::overwrite;
using testing_support::sample_image;
using testing_support::slide_record;
using testing_support::SmallDisk;
using testing_support::TempDir;
using testing_support::write_shard;

constexpr std::array kStorages{Storage::none, Storage::lz4, Storage::zstd, Storage::jpeg};

std::vector<int64_t> numbers(int64_t count) {
  std::vector<int64_t> list(static_cast<size_t>(count));
  std::iota(list.begin(), list.end(), 0);
  return list;
}

TEST(ImageStorage, EveryStorageGivesBackWhatWasWritten) {
  TempDir dir;
  for (const Storage storage : kStorages) {
    write_shard(dir / "images.h5", "s", 0, 9, storage);
    const ImageSet set(dir / "images.h5");
    const auto batch = set.read({8, 0, 3, 3, 1});
    for (size_t j = 0; const int64_t i : {8, 0, 3, 3, 1})
      EXPECT_TRUE(batch[static_cast<int64_t>(j++)].equal(expected_image(i, storage)))
          << to_string(storage) << " " << i;
    // HDF5's own way through the filters sees the same.
    const auto file = hdf5::File::open(dir / "images.h5", "");
    EXPECT_TRUE(file.dataset("images").read().equal(set.read(numbers(9)))) << to_string(storage);
    EXPECT_TRUE(file.dataset("images").read_rows({8, 0, 3, 3, 1}).equal(batch));
  }
}

TEST(ImageStorage, TheSameContentGivesTheSameBytesAndId) {
  TempDir dir;
  for (const Storage storage : kStorages) {
    write_shard(dir / "a.h5", "s", 0, 5, storage);
    write_shard(dir / "b.h5", "s", 0, 5, storage);
    EXPECT_EQ(read_text(dir / "a.h5"), read_text(dir / "b.h5"));
    write_shard(dir / "b.h5", "s", 1, 5, storage);
    EXPECT_EQ(ImageSet(dir / "a.h5").id().size(), 64U);
    EXPECT_NE(ImageSet(dir / "a.h5").id(), ImageSet(dir / "b.h5").id());
  }
}

TEST(ImageStorage, SlidesAndPlacesComeBack) {
  TempDir dir;
  ImageSetWriter writer(dir / "images.h5", 3, 16, 16, {"a", "b"}, "{}");
  ImageRecord picture = slide_record("", 3);
  picture.x = picture.y = std::numeric_limits<double>::quiet_NaN();
  writer.append(sample_image(0, 3, 16), slide_record("tumor_001", 7));
  writer.append(sample_image(1, 3, 16), picture);
  writer.close();
  const ImageSet set(dir / "images.h5");
  EXPECT_EQ(set.record(0).slide, "tumor_001");
  EXPECT_EQ(set.record(0).x, 7 * 256.0);
  EXPECT_EQ(set.record(0).y, 16.5);
  EXPECT_EQ(set.record(0).attributes.at("tissue"), 0.75);
  EXPECT_EQ(set.record(1).slide, "");
  EXPECT_TRUE(std::isnan(set.record(1).x) && std::isnan(set.record(1).y));
}

TEST(ImageStorage, AddedTablesComeBack) {
  TempDir dir;
  {
    ImageSetWriter writer(dir / "shard.h5", 3, 16, 16, {"a"}, "{}", {.shard = true});
    writer.add_table("candidates", torch::arange(6, torch::kFloat64).view({2, 3}));
    writer.add_table("level", torch::tensor({4}, torch::kInt64));
    writer.add_strings("reasons", {"blur", "pen"});
    writer.set_attribute("mpp_source", "openslide.mpp-x");
    writer.close();
  }
  const ImageSet set(dir / "shard.h5");
  EXPECT_EQ(set.size(), 0);
  EXPECT_EQ(set.read({}).sizes(), (std::vector<int64_t>{0, 3, 16, 16}));
  EXPECT_TRUE(set.table("candidates").equal(torch::arange(6, torch::kFloat64).view({2, 3})));
  EXPECT_EQ(set.table("level").item<int64_t>(), 4);
  EXPECT_EQ(set.strings("reasons"), (std::vector<std::string>{"blur", "pen"}));
  EXPECT_EQ(set.attribute("mpp_source"), "openslide.mpp-x");
  EXPECT_TRUE(set.has_table("reasons") && set.has_attribute("mpp_source"));
  EXPECT_FALSE(set.has_table("other") || set.has_attribute("other"));
  expect_sentence(error_of([&] { set.table("other"); }), dir / "shard.h5",
                  {"'tile/other' is missing"});
  expect_sentence(error_of([&] { set.attribute("other"); }), dir / "shard.h5", {"is missing"});
}

// A file of version 1, made by hand; `chunked`: as it was written, else laid out by other means.
void write_version_1(const std::filesystem::path& file, bool chunked) {
  hdf5::File out = hdf5::File::create(file, "");
  out.write_format("stylescope.images", 1);
  out.write_attribute("source", "{}");
  {
    auto images = chunked ? out.create_rows("images", torch::kUInt8, {3, 16, 16})
                          : out.create_fixed("images", torch::kUInt8, {4, 3, 16, 16});
    if (chunked) images.resize(4);
    images.write_rows(0, sample_image(0, 3, 16).unsqueeze(0));
    images.write_rows(2, sample_image(2, 3, 16).unsqueeze(0));
  }
  out.write("label", torch::zeros({4}, torch::kInt64));
  out.write("split", torch::zeros({4}, torch::kUInt8));
  out.write_strings("subject", {"p", "q", "r", "s"});
  out.write_strings("path", {"a", "b", "c", "d"});
  out.write_strings("label_names", {"no"});
  out.write("attributes/age", torch::tensor({1.0, 2.0, 3.0, 4.0}, torch::kFloat64));
  out.close();
}

TEST(ImageStorage, FilesOfVersion1AreRead) {
  TempDir dir;
  for (const bool chunked : {true, false}) {
    write_version_1(dir / "images.h5", chunked);
    const ImageSet set(dir / "images.h5");
    EXPECT_EQ(set.id(), "");
    EXPECT_EQ(set.record(2).slide, "");
    EXPECT_TRUE(std::isnan(set.record(2).x));
    EXPECT_EQ(set.record(2).attributes.at("age"), 3.0);
    const auto batch = set.read({2, 1, 0, 3});
    EXPECT_TRUE(batch[0].equal(sample_image(2, 3, 16)));
    EXPECT_TRUE(batch[1].equal(torch::zeros({3, 16, 16}, torch::kUInt8)));  // never written
    EXPECT_TRUE(batch[2].equal(sample_image(0, 3, 16)));
    EXPECT_TRUE(batch[3].equal(torch::zeros({3, 16, 16}, torch::kUInt8)));
  }
}

// As h5repack leaves a file: gzip, several images a chunk.
TEST(ImageStorage, OtherLayoutsAreReadThroughHdf5) {
  TempDir dir;
  write_version_1(dir / "images.h5", true);
  const hid_t file = H5Fopen((dir / "images.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(H5Ldelete(file, "images", H5P_DEFAULT), 0);
  const hsize_t size[]{4, 3, 16, 16}, chunk[]{2, 3, 16, 16};
  const hid_t space = H5Screate_simple(4, size, nullptr), list = H5Pcreate(H5P_DATASET_CREATE);
  ASSERT_GE(H5Pset_chunk(list, 4, chunk), 0);
  ASSERT_GE(H5Pset_deflate(list, 1), 0);
  const hid_t images =
      H5Dcreate2(file, "images", H5T_NATIVE_UINT8, space, H5P_DEFAULT, list, H5P_DEFAULT);
  std::vector<torch::Tensor> all;
  for (int64_t i = 0; i < 4; ++i) all.push_back(sample_image(i, 3, 16));
  const auto pixels = torch::stack(all);
  ASSERT_GE(H5Dwrite(images, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels.data_ptr()),
            0);
  H5Dclose(images), H5Pclose(list), H5Sclose(space), H5Fclose(file);
  EXPECT_TRUE(ImageSet(dir / "images.h5").read({3, 1}).equal(torch::stack({all[3], all[1]})));
}

TEST(ImageStorage, ThreadsReadAtOnce) {
  TempDir dir;
  for (const Storage storage : kStorages)
    write_shard(dir / to_string(storage), "s", 0, 40, storage);
  for (const Storage storage : kStorages) {
    const ImageSet set(dir / to_string(storage));
    const auto all = set.read(numbers(40));
    std::atomic<int64_t> wrong = 0;
    {
      std::vector<std::jthread> threads;
      for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
          std::mt19937 random(t);
          std::uniform_int_distribution<int64_t> row(0, 39);
          for (int n = 0; n < 50; ++n) {
            const std::vector<int64_t> rows{row(random), row(random), row(random)};
            const auto batch = set.read(rows);
            for (int64_t j = 0; j < 3; ++j) wrong += !batch[j].equal(all[rows[j]]);
          }
        });
    }
    EXPECT_EQ(wrong, 0) << to_string(storage);
  }
}

// A batch large enough for several threads of its own.
TEST(ImageStorage, LargeBatchesAreTheSameWithMoreThreads) {
  TempDir dir;
  constexpr int64_t kSize = 256;
  write_shard(dir / "images.h5", "s", 0, 24, Storage::jpeg, Split::train, kSize);
  const ImageSet set(dir / "images.h5");
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  const auto batch = set.read(numbers(24));
  at::set_num_threads(before);
  for (int64_t i = 0; i < 24; ++i)
    EXPECT_TRUE(batch[i].equal(expected_image(i, Storage::jpeg, kSize))) << i;
}

hdf5::RowPlace place_of(const std::filesystem::path& file, int64_t row) {
  return hdf5::File::open(file, "").dataset("images").places()->at(row);
}

TEST(ImageStorage, ADamagedChunkIsNamed) {
  TempDir dir;
  const auto file = dir / "images.h5";
  for (const Storage storage : {Storage::lz4, Storage::zstd, Storage::jpeg}) {
    write_shard(file, "s", 0, 9, storage);
    const auto place = place_of(file, 5);
    ASSERT_GT(place.bytes, 0U);
    flip_byte(file, static_cast<size_t>(place.address));
    const ImageSet set(file);
    const std::string message = error_of([&] { set.read({1, 5, 8}); });
    expect_sentence(message, file, {"image 5 cannot be read", "damaged", "run the"});
    EXPECT_TRUE(set.read({4})[0].equal(sample_image(4, 3, 16)));  // the others are there
    // HDF5's own way fails too, and says the same.
    const auto other = hdf5::File::open(file, "advice");
    const std::string general = error_of([&] { other.dataset("images").read(); });
    EXPECT_NE(general.find("data is"), std::string::npos) << general;
  }
}

TEST(ImageStorage, AFileThatChangesInUseIsNamed) {
  TempDir dir;
  const auto file = dir / "images.h5";
  write_shard(file, "s", 0, 9, Storage::none);
  const ImageSet before(file), after(file);
  EXPECT_TRUE(before.read({0})[0].equal(sample_image(0, 3, 16)));
  std::filesystem::resize_file(file, static_cast<size_t>(place_of(file, 7).address));
  expect_sentence(error_of([&] { before.read({7}); }), file,
                  {"image 7 cannot be read", "the file ends before it"});
  expect_sentence(error_of([&] { after.read({7}); }), file, {"changed or cut off while"});
  std::filesystem::remove(file);
  const ImageSet* set = &after;
  expect_sentence(error_of([&] { set->read({7}); }), file, {"No such file"});
}

TEST(ImageStorage, AFullDiskIsSaidAndLeavesNothing) {
  SmallDisk disk("1m");
  SKIP_UNLESS_MOUNTED(disk);
  for (const Storage storage : {Storage::lz4, Storage::zstd, Storage::jpeg}) {
    const std::string message = error_of([&] {
      ImageSetWriter writer(disk / "images.h5", 3, 32, 32, {"a", "b"}, "{}", {.storage = storage});
      for (int64_t i = 0; i < 1000; ++i)
        writer.append(torch::randint(256, {3, 32, 32}, torch::kUInt8), slide_record("s", i));
      writer.close();
    });
    EXPECT_NE(message.find((disk / "images.h5").string()), std::string::npos) << message;
    EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
    EXPECT_TRUE(disk.files().empty());
  }
  write_shard(disk / "images.h5", "s", 0, 20);
  EXPECT_EQ(ImageSet(disk / "images.h5").size(), 20);
}

}  // namespace
}  // namespace stylescope
