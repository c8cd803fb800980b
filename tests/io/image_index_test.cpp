#include "io/image_index.hpp"

#include "io/hdf5_file.hpp"
#include "tests/io/faults.hpp"
#include "tests/io/image_samples.hpp"

#include <numeric>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::expected_image;
using testing_support::overwrite;
using testing_support::sample_image;
using testing_support::slide_record;
using testing_support::SmallDisk;
using testing_support::TempDir;
using testing_support::write_shard;

const std::vector<std::string> kLabels{"normal", "tumour"};
const std::vector<std::string> kShards{"shards/a.h5", "shards/empty.h5", "shards/b.h5",
                                       "shards/c.h5"};

// Images 0..4 in a, 5..9 in b, 10..11 in c; b is of as many bytes as a.
void write_shards(const std::filesystem::path& dir) {
  write_shard(dir / "shards/a.h5", "a", 0, 5, Storage::none);
  write_shard(dir / "shards/empty.h5", "empty", 0, 0, Storage::zstd);
  write_shard(dir / "shards/b.h5", "b", 5, 5, Storage::none, Split::test);
  write_shard(dir / "shards/c.h5", "c", 10, 2, Storage::jpeg, Split::val);
}

void write_index(const std::filesystem::path& dir) {
  write_shards(dir);
  write_image_index(dir / "images.h5", kLabels, R"({"made":"by test"})", kShards);
}

TEST(ImageIndex, IsTheShardsOneAfterAnother) {
  TempDir dir;
  write_index(dir.path());
  const ImageSet set(dir / "images.h5");
  ASSERT_EQ(set.size(), 12);
  EXPECT_EQ(set.shards(), kShards);
  EXPECT_EQ(set.source_json(), R"({"made":"by test"})");
  EXPECT_EQ(set.label_names(), kLabels);
  EXPECT_EQ(set.record(4).slide, "a");
  EXPECT_EQ(set.record(5).slide, "b");
  EXPECT_EQ(set.record(11).x, 11 * 256.0);
  EXPECT_EQ(set.record(11).attributes.at("tissue"), 0.75);
  EXPECT_EQ(set.indices(Split::test), (std::vector<int64_t>{5, 6, 7, 8, 9}));
  const auto batch = set.read({11, 0, 10, 9, 5});
  for (int64_t j = 0; const int64_t i : {11, 0, 10, 9, 5})
    EXPECT_TRUE(batch[j++].equal(expected_image(i, i >= 10 ? Storage::jpeg : Storage::none))) << i;
  // HDF5's own virtual data set shows the same.
  const auto images = hdf5::File::open(dir / "images.h5", "").dataset("images");
  EXPECT_TRUE(images.is_virtual());
  EXPECT_TRUE(images.read_rows({11, 0, 10, 9, 5}).equal(batch));
}

TEST(ImageIndex, MovesWithItsShards) {
  TempDir dir;
  std::filesystem::create_directory(dir / "here");
  write_index(dir / "here");
  std::filesystem::rename(dir / "here", dir / "there");
  EXPECT_TRUE(ImageSet(dir / "there" / "images.h5").read({6})[0].equal(sample_image(6, 3, 16)));
  const auto images = hdf5::File::open(dir / "there" / "images.h5", "").dataset("images");
  EXPECT_TRUE(images.read_rows({6})[0].equal(sample_image(6, 3, 16)));
}

TEST(ImageIndex, TheSameShardsGiveTheSameBytes) {
  TempDir dir;
  write_index(dir.path());
  const std::string first = read_text(dir / "images.h5");
  write_index(dir.path());
  EXPECT_EQ(read_text(dir / "images.h5"), first);
}

// HDF5 itself would give zeros, or another slide's images.
TEST(ImageIndex, EveryShardIsCheckedWhenOpened) {
  TempDir dir;
  const auto a = dir / "shards/a.h5", b = dir / "shards/b.h5", empty = dir / "shards/empty.h5";
  const auto message = [&] { return error_of([&] { ImageSet set(dir / "images.h5"); }); };
  write_index(dir.path());
  const std::string bytes_a = read_text(a), bytes_b = read_text(b);
  ASSERT_EQ(bytes_a.size(), bytes_b.size());

  std::filesystem::remove(b);
  expect_sentence(message(), b, {"missing", "put it back", "tile stage"});
  overwrite(b, bytes_b.substr(0, bytes_b.size() / 2));
  expect_sentence(message(), b, {"bytes instead of", "cut off", "tile stage"});
  overwrite(b, bytes_a);
  overwrite(a, bytes_b);
  expect_sentence(message(), a, {"is not the shard that was indexed", "exchanged", "tile stage"});
  overwrite(a, std::string(bytes_a.size(), 'x'));
  expect_sentence(message(), a, {"no HDF5 file", "tile stage"});
  overwrite(a, bytes_a);
  write_shard(b, "b", 6, 5, Storage::none, Split::test);  // of another run
  expect_sentence(message(), b, {"is not the shard that was indexed", "of another run"});
  overwrite(b, bytes_b);
  EXPECT_EQ(ImageSet(dir / "images.h5").size(), 12);
  std::filesystem::remove(empty);
  expect_sentence(message(), empty, {"missing"});
}

TEST(ImageIndex, ShardsThatDoNotFitAreRefused) {
  TempDir dir;
  const auto message = [&](const std::vector<std::string>& shards) {
    const auto text =
        error_of([&] { write_image_index(dir / "images.h5", kLabels, "{}", shards); });
    EXPECT_FALSE(std::filesystem::exists(dir / "images.h5"));
    return text;
  };
  write_shards(dir.path());
  expect_sentence(message({"shards/a.h5", "shards/none.h5"}), dir / "shards/none.h5",
                  {"does not exist"});
  expect_sentence(message({"shards/empty.h5"}), dir / "images.h5", {"no shard has an image"});
  expect_sentence(message({}), dir / "images.h5", {"no shard has an image"});
  write_shard(dir / "shards/large.h5", "l", 0, 1, Storage::none, Split::train, 24);
  expect_sentence(message({"shards/a.h5", "shards/large.h5"}), dir / "shards/large.h5",
                  {"another image size", "tile stage"});
  write_shard(dir / "shards/again.h5", "a", 0, 1, Storage::none, Split::val);
  expect_sentence(message({"shards/a.h5", "shards/again.h5"}), dir / "images.h5",
                  {"'patient of a'", "train (a.svs) and val (a.svs)", "one split only"});
  {
    ImageSetWriter writer(dir / "shards/bare.h5", 3, 16, 16, kLabels, "{}", {.shard = true});
    writer.append(sample_image(0, 3, 16), {0, Split::train, "p", "p.svs", {}});
    writer.close();
  }
  expect_sentence(message({"shards/a.h5", "shards/bare.h5"}), dir / "shards/bare.h5",
                  {"attributes", "differ", "tile stage"});
}

TEST(ImageIndex, AVirtualDataSetWithoutAListOfShardsIsRefused) {
  TempDir dir;
  write_shards(dir.path());
  hdf5::File out = hdf5::File::create(dir / "images.h5", "");
  out.create_virtual("images", torch::kUInt8, {3, 16, 16}, {{"shards/a.h5", 5}});
  out.write_format("stylescope.images", 2);
  out.write_attribute("source", "{}");
  out.write("label", torch::zeros({5}, torch::kInt64));
  out.write("split", torch::zeros({5}, torch::kUInt8));
  out.write_strings("subject", {"p", "p", "p", "p", "p"});
  out.write_strings("path", {"a", "b", "c", "d", "e"});
  out.write_strings("label_names", {"no"});
  out.close();
  expect_sentence(error_of([&] { ImageSet set(dir / "images.h5"); }), dir / "images.h5",
                  {"virtual", "list of its shards", "tile"});
}

int64_t open_files_in(const std::filesystem::path& dir) {
  int64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed_since;
    const auto file = std::filesystem::read_symlink(entry, closed_since);
    count += file.string().starts_with(dir.string());
  }
  return count;
}

TEST(ImageIndex, ManyShardsNeedFewOpenFiles) {
  TempDir dir;
  constexpr int64_t kCount = 9;
  ImagePixels pixels({3, 16, 16}, "advice", 3);
  for (int64_t i = 0; i < kCount; ++i) {
    const auto file = dir / std::to_string(i);
    write_shard(file, std::to_string(i), i, 1, Storage::lz4);
    ASSERT_TRUE(pixels.add(file, hdf5::File::open(file, "").dataset("images")));
  }
  EXPECT_EQ(open_files_in(dir.path()), 0);
  for (int64_t i = 0; i < 4 * kCount; ++i)
    ASSERT_TRUE(pixels.read({i * 4 % kCount})[0].equal(sample_image(i * 4 % kCount, 3, 16))) << i;
  EXPECT_EQ(open_files_in(dir.path()), 3);
}

TEST(ImageIndex, AFullDiskIsSaidAndLeavesNoIndex) {
  SmallDisk disk("200k");
  SKIP_UNLESS_MOUNTED(disk);
  write_shards(disk.path());
  overwrite(disk / "rest", std::string(1 << 20, 'x'));  // as much as fits
  const std::string message =
      error_of([&] { write_image_index(disk / "images.h5", kLabels, "{}", kShards); });
  EXPECT_NE(message.find("images.h5"), std::string::npos) << message;
  EXPECT_EQ(disk.files(), (std::vector<std::string>{"rest", "shards"}));
}

}  // namespace
}  // namespace stylescope
