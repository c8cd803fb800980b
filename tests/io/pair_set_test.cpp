#include "io/pair_set.hpp"

#include "io/hdf5_file.hpp"
#include "io/sha256.hpp"
#include "tests/io/faults.hpp"

#include <atomic>
#include <thread>
#include <vector>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::SmallDisk;
using testing_support::TempDir;

torch::Tensor latents(int64_t first, int64_t rows) {
  return torch::arange(first * 5, (first + rows) * 5).to(torch::kFloat32).div(3).view({rows, 5});
}
torch::Tensor pictures(int64_t first, int64_t rows) {
  return torch::arange(first * 48, (first + rows) * 48)
      .remainder(251)
      .to(torch::kUInt8)
      .view({rows, 3, 4, 4});
}

PairShard write_shard(const std::filesystem::path& file, int64_t first, int64_t rows) {
  PairShardWriter writer(file, rows, 5, torch::kFloat32, 3, 4, 4);
  for (int64_t i = first; i < first + rows; i += 2) {
    const int64_t n = std::min<int64_t>(2, first + rows - i);
    writer.append(latents(i, n), pictures(i, n), torch::arange(i, i + n));
  }
  EXPECT_FALSE(std::filesystem::exists(file));
  return writer.close();
}

// Rows 0-4, none, 5-7.
std::vector<PairShard> write_pairs(const std::filesystem::path& folder) {
  std::vector<PairShard> shards{write_shard(folder / "pairs-0-of-3.h5", 0, 5),
                                write_shard(folder / "pairs-1-of-3.h5", 5, 0),
                                write_shard(folder / "pairs-2-of-3.h5", 5, 3)};
  write_pair_index(folder / "pairs.h5", shards);
  return shards;
}

void expect_all(const PairSet& set) {
  EXPECT_EQ(set.size(), 8);
  EXPECT_EQ(set.w_dim(), 5);
  EXPECT_EQ(set.channels(), 3);
  EXPECT_EQ(set.resolution(), 4);
  EXPECT_TRUE(set.w().equal(latents(0, 8)));
  const auto some = set.read_images({7, 0, 5, 4});
  EXPECT_TRUE(some[0].equal(pictures(7, 1)[0]));
  EXPECT_TRUE(some[1].equal(pictures(0, 1)[0]));
  EXPECT_TRUE(some[2].equal(pictures(5, 1)[0]));
  EXPECT_TRUE(some[3].equal(pictures(4, 1)[0]));
}

TEST(PairSet, JoinsShards) {
  TempDir dir;
  const auto shards = write_pairs(dir.path());
  EXPECT_EQ(shards[0].rows, 5);
  EXPECT_EQ(shards[2].file, "pairs-2-of-3.h5");
  EXPECT_EQ(shards[2].sha256, sha256_of(read_text(dir / "pairs-2-of-3.h5")));
  expect_all(PairSet(dir / "pairs.h5"));
}

// As a loader beside a training reads it.
TEST(PairSet, ReadsOnSeveralThreadsPastHdf5) {
  TempDir dir;
  write_pairs(dir.path());
  const PairSet set(dir / "pairs.h5");
  ASSERT_TRUE(set.reads_past_hdf5());
  std::atomic<int64_t> wrong = 0;
  {
    std::vector<std::jthread> readers;
    for (int reader = 0; reader < 3; ++reader)
      readers.emplace_back([&] {
        for (int64_t i = 0; i < 200; ++i)
          wrong +=
              set.read_images({i % 8, 7}).equal(torch::cat({pictures(i % 8, 1), pictures(7, 1)}))
                  ? 0
                  : 1;
      });
    for (int64_t i = 0; i < 50; ++i) wrong += set.w().equal(latents(0, 8)) ? 0 : 1;
  }
  EXPECT_EQ(wrong.load(), 0);
}

TEST(PairSet, TheFolderCanBeRenamed) {
  TempDir dir;
  std::filesystem::create_directory(dir / "synthesize.partial");
  write_pairs(dir / "synthesize.partial");
  std::filesystem::rename(dir / "synthesize.partial", dir / "synthesize");
  expect_all(PairSet(dir / "synthesize/pairs.h5"));
  // What another program sees: the virtual data sets.
  const auto file = hdf5::File::open(dir / "synthesize/pairs.h5", "");
  EXPECT_TRUE(file.read("w", torch::kFloat32, {8, 5}).equal(latents(0, 8)));
  EXPECT_TRUE(file.read("images", torch::kUInt8, {8, 3, 4, 4}).equal(pictures(0, 8)));
  EXPECT_TRUE(file.read("index", torch::kInt64, {8}).equal(torch::arange(8)));
}

TEST(PairSet, KeepsFloat64) {
  TempDir dir;
  const auto w = torch::arange(10).to(torch::kFloat64).div(7).view({2, 5});
  PairShardWriter writer(dir / "pairs-0-of-1.h5", 2, 5, torch::kFloat64, 3, 4, 4);
  writer.append(w, pictures(0, 2), torch::arange(2));
  write_pair_index(dir / "pairs.h5", {writer.close()});
  EXPECT_TRUE(PairSet(dir / "pairs.h5").w().equal(w));
}

TEST(PairSet, TheSameContentGivesTheSameHash) {
  TempDir dir;
  EXPECT_EQ(write_shard(dir / "a.h5", 0, 5).sha256, write_shard(dir / "b.h5", 0, 5).sha256);
}

TEST(PairSet, MissingCutOrDamagedShardsAreNamed) {
  TempDir dir;
  write_pairs(dir.path());
  const auto shard = dir / "pairs-2-of-3.h5";
  const std::string whole = read_text(shard);
  const auto message = [&] { return error_of([&] { PairSet set(dir / "pairs.h5"); }); };
  std::filesystem::remove(shard);
  expect_sentence(message(), shard, {"missing", "run the synthesize stage again"});
  overwrite(shard, whole.substr(0, whole.size() - 1));
  expect_sentence(message(), shard, {"bytes instead of", "run the synthesize stage again"});
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  overwrite(shard, flipped);
  expect_sentence(message(), shard, {"damaged", "SHA-256", "run the synthesize stage again"});
  overwrite(shard, whole);
  expect_all(PairSet(dir / "pairs.h5"));
}

TEST(PairSet, AnIndexIsNotWrittenOverWhatIsNotThere) {
  TempDir dir;
  const auto shards = write_pairs(dir.path());
  std::filesystem::remove(dir / "pairs.h5");
  std::filesystem::remove(dir / "pairs-1-of-3.h5");
  expect_sentence(error_of([&] { write_pair_index(dir / "pairs.h5", shards); }),
                  dir / "pairs-1-of-3.h5", {"missing"});
  EXPECT_FALSE(std::filesystem::exists(dir / "pairs.h5"));
  expect_sentence(
      error_of([&] { write_pair_index(dir / "pairs.h5", {write_shard(dir / "none.h5", 0, 0)}); }),
      dir / "pairs.h5", {"no synthetic pairs"});
}

TEST(PairSet, BrokenIndexGetsASentence) {
  TempDir dir;
  write_pairs(dir.path());
  const auto file = dir / "pairs.h5";
  const auto message = [&] { return error_of([&] { PairSet set(file); }); };
  overwrite(file, read_text(file).substr(0, 700));
  expect_sentence(message(), file, {"cut off", "synthesize stage"});
  overwrite(file, "no");
  expect_sentence(message(), file, {"no HDF5 file", "synthesize stage"});
  std::filesystem::remove(file);
  expect_sentence(message(), file, {"does not exist", "synthesize stage"});
}

TEST(PairSet, AFullDiskIsSaidAndLeavesNothing) {
  SmallDisk disk("1m");
  SKIP_UNLESS_MOUNTED(disk);
  const auto images = torch::zeros({500, 3, 32, 32}, torch::kUInt8);
  const std::string message = error_of([&] {
    PairShardWriter writer(disk / "pairs-0-of-1.h5", 500, 5, torch::kFloat32, 3, 32, 32);
    writer.append(torch::zeros({500, 5}), images, torch::arange(500));
    writer.close();
  });
  EXPECT_NE(message.find("pairs-0-of-1.h5"), std::string::npos) << message;
  EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
  EXPECT_TRUE(disk.files().empty());
}

}  // namespace
}  // namespace stylescope
