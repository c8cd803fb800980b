#include "stages/audit/near_duplicates.hpp"

#include "io/picture.hpp"
#include "stages/phantom/knee_phantom.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using ::testing::IsEmpty;
using Pairs = std::set<std::pair<int64_t, int64_t>>;

// Smooth random pictures, each another one: sums of waves, as different as faces of clouds.
torch::Tensor waves(int64_t seed, int64_t side = 64) {
  torch::manual_seed(seed);
  const auto axis = torch::arange(side, torch::kFloat64).mul(2 * M_PI / static_cast<double>(side));
  auto picture = torch::zeros({side, side}, torch::kFloat64);
  for (int64_t wave = 0; wave < 24; ++wave) {
    const auto k = torch::rand({4}, torch::kFloat64);
    const auto phase = axis.unsqueeze(1)
                           .mul(k[0].mul(5))
                           .add(axis.unsqueeze(0).mul(k[1].mul(10).sub(5)))
                           .add(k[2].mul(2 * M_PI));
    picture.add_(phase.cos().mul(k[3]));
  }
  return picture.sub(picture.min())
      .div(picture.max().sub(picture.min()))
      .mul(255)
      .to(torch::kUInt8)
      .unsqueeze(0);
}

// A set of images in memory.
struct Images {
  std::vector<torch::Tensor> pixels;
  std::vector<Split> splits;
  mutable std::set<int64_t> read;

  int64_t add(const torch::Tensor& image, Split split) {
    pixels.push_back(image);
    splits.push_back(split);
    return std::ssize(pixels) - 1;
  }
  NearDuplicates find(const AuditConfig& config = {}) const {
    std::vector<ImagePrint> prints;
    for (const auto& image : pixels) prints.push_back(print_of(image));
    return find_near_duplicates(
        prints, splits,
        [this](at::ArrayRef<int64_t> rows) {
          read.insert(rows[0]);
          return pixels[static_cast<size_t>(rows[0])].unsqueeze(0);
        },
        config);
  }
};

Pairs pairs_of(const std::vector<NearPair>& found) {
  Pairs pairs;
  for (const auto& pair : found) pairs.insert({pair.a, pair.b});
  return pairs;
}

Images different(int64_t count) {
  Images images;
  for (int64_t i = 0; i < count; ++i) images.add(waves(i), static_cast<Split>(i % 3));
  return images;
}

TEST(NearDuplicates, DifferentImagesAreNone) {
  const auto images = different(120);
  const auto found = images.find();
  EXPECT_THAT(found.pairs, IsEmpty());
  EXPECT_EQ(found.compared, 120);
  EXPECT_EQ(found.even, 0);
}

torch::Tensor changed(const torch::Tensor& image, double factor, double offset, double noise) {
  return image.to(torch::kFloat64)
      .mul(factor)
      .add(offset)
      .add(torch::randn(image.sizes(), torch::kFloat64).mul(noise))
      .clamp(0, 255)
      .to(torch::kUInt8);
}

TEST(NearDuplicates, CopiesOfOtherSplitsAreFoundAndOfTheSameNot) {
  auto images = different(60);
  Pairs expected;
  const auto copy = [&](int64_t of, const torch::Tensor& image, Split split) {
    const int64_t row = images.add(image, split);
    if (images.splits[static_cast<size_t>(of)] == split) return;
    const bool first = images.splits[static_cast<size_t>(of)] < split;
    expected.insert(first ? std::pair(of, row) : std::pair(row, of));
  };
  copy(0, images.pixels[0], Split::test);                       // train and test
  copy(1, images.pixels[1], Split::train);                      // train and val
  copy(2, images.pixels[2], Split::val);                        // val and test
  copy(3, changed(images.pixels[3], 0.7, 20, 0), Split::test);  // less contrast
  copy(6, changed(images.pixels[6], 1, 0, 8), Split::test);     // noise
  copy(9, images.pixels[9], Split::train);                      // nothing wrong
  copy(12, resize_picture(resize_picture(images.pixels[12], 32), 64), Split::val);
  ASSERT_EQ(expected.size(), 6U);
  const auto found = images.find();
  EXPECT_EQ(pairs_of(found.pairs), expected);
  EXPECT_NEAR(found.pairs.front().correlation, 1, 1e-6);
  for (const auto& pair : found.pairs) EXPECT_EQ(pair.turned.name(), "same");
  // Only candidates' pixels are read, not all.
  EXPECT_LT(images.read.size(), 30U);
}

// Far more candidates than are looked at together, and all of their hashes are the same.
TEST(NearDuplicates, NoNumberOfCandidatesHidesAPair) {
  const int64_t each = 100;
  const std::vector<ImagePrint> prints(2 * each, ImagePrint{{}, 50});
  std::vector<Split> splits(each, Split::train);
  splits.resize(2 * each, Split::test);
  const auto read = [](at::ArrayRef<int64_t> rows) {
    torch::manual_seed(rows[0] == 2 * each - 1 ? each - 1 : rows[0]);
    return torch::randint(0, 256, {1, 1, 32, 32}, torch::kUInt8);
  };
  const auto found = find_near_duplicates(prints, splits, read, {});
  EXPECT_EQ(pairs_of(found.pairs), (Pairs{{each - 1, 2 * each - 1}}));
  EXPECT_FALSE(found.cut);
  ASSERT_EQ(found.closest.size(), 24U);
  for (size_t i = 1; i < found.closest.size(); ++i)
    EXPECT_GE(found.closest[i - 1].correlation, found.closest[i].correlation);
  EXPECT_GT(found.closest.back().correlation, 0.05);  // of 10,000 by chance
}

TEST(NearDuplicates, MirroredAndTurnedCopiesWhereTheyAreAskedFor) {
  auto images = different(30);
  images.add(images.pixels[0].flip(2), Split::test);
  images.add(images.pixels[3].transpose(1, 2).contiguous(), Split::test);
  AuditConfig config;
  config.orientations = "same";
  EXPECT_THAT(images.find(config).pairs, IsEmpty());
  config.orientations = "mirrored";
  const auto mirrored = images.find(config);
  EXPECT_EQ(pairs_of(mirrored.pairs), (Pairs{{0, 30}}));
  EXPECT_EQ(mirrored.pairs.at(0).turned.name(), "mirrored");
  config.orientations = "all";
  EXPECT_EQ(pairs_of(images.find(config).pairs), (Pairs{{0, 30}, {3, 31}}));
}

TEST(NearDuplicates, ThresholdsAndEvenImages) {
  auto images = different(30);
  images.add(changed(images.pixels[0], 1, 0, 60), Split::test);
  for (const Split split : {Split::train, Split::val, Split::test})
    images.add(torch::full({1, 64, 64}, 240, torch::kUInt8), split);
  AuditConfig config;
  config.min_correlation = 0.5;
  config.max_distance = 15;
  const auto loose = images.find(config);
  EXPECT_TRUE(pairs_of(loose.pairs).contains({0, 30}));
  EXPECT_EQ(loose.even, 3);
  config.min_correlation = 0.999;
  const auto strict = images.find(config);
  EXPECT_FALSE(pairs_of(strict.pairs).contains({0, 30}));
  EXPECT_TRUE(pairs_of(strict.closest).contains({0, 30}));
}

// X-rays of the same joint look all alike, and drawn ones more so.
TEST(NearDuplicates, DrawnKneesOfDifferentSubjectsAreNone) {
  for (const int64_t side : {int64_t{16}, int64_t{32}, int64_t{64}}) {
    Images images;
    for (int64_t i = 0; i < 300; ++i)
      images.add(draw_knee(knee_factors(3, i, 0), side, 3, i, 0), static_cast<Split>(i % 3));
    const int64_t copy = images.add(images.pixels[0], Split::test);
    EXPECT_EQ(pairs_of(images.find().pairs), (Pairs{{0, copy}})) << side;
  }
}

// 100,000 prints, of which three thousand million pairs could be compared. No bound on the time: it
// is told.
TEST(NearDuplicates, ManyImagesAreSearchedWithoutComparingAll) {
  constexpr int64_t kCount = 100'000;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<ImagePrint> prints(kCount);
  std::vector<Split> splits;
  for (auto& print : prints) {
    for (auto& value : print.low) value = normal(random);
    print.contrast = 50;
    splits.push_back(static_cast<Split>(splits.size() % 3));
  }
  prints[1000] = prints[0];
  std::set<int64_t> read;
  const auto begin = std::chrono::steady_clock::now();
  const auto found =
      find_near_duplicates(prints, splits,
                           [&](at::ArrayRef<int64_t> rows) {
                             read.insert(rows[0]);
                             torch::manual_seed(rows[0] % 1000);
                             return torch::randint(0, 256, {1, 1, 16, 16}, torch::kUInt8);
                           },
                           {});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(seconds.count()));
  std::printf("searched %ld prints in %.2f s\n", static_cast<long>(kCount), seconds.count());
  EXPECT_EQ(pairs_of(found.pairs), (Pairs{{0, 1000}}));
  EXPECT_LT(read.size(), 2000U);
}

// The real sets, where they are: of knees no two of different subjects, of PatchCamelyon's patches
// the copies that it is known for (tumour patches of the training split stand there several times).
class RealImages : public testing::Test {
 protected:
  // Every picture below `folder`; the split by `split_of` the number in the list.
  static Images read(const std::string& folder, int64_t side,
                     const std::function<Split(int64_t, const fs::path&)>& split_of) {
    const fs::path root = data() / folder;
    std::vector<fs::path> files;
    if (fs::is_directory(root))
      for (const auto& entry : fs::recursive_directory_iterator(root))
        if (entry.path().extension() == ".jpg") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    Images images;
    for (size_t i = 0; i < files.size(); ++i)
      images.add(resize_picture(read_picture(files[i], 1), side),
                 split_of(static_cast<int64_t>(i), files[i]));
    return images;
  }
  static fs::path data() {
    const char* named = std::getenv("STYLESCOPE_DATA");
    return named ? fs::path(named) : fs::path(STYLESCOPE_SOURCE_DIR) / "../shared/data";
  }
};

TEST_F(RealImages, KneesOfDifferentSubjectsAreNone) {
  // Both knees of a subject in one split.
  const auto images = read("oai-knee/val", 64, [](int64_t, const fs::path& file) {
    return static_cast<Split>(std::stol(file.stem().string()) % 3);
  });
  if (images.pixels.empty()) GTEST_SKIP() << "no " << data() / "oai-knee/val";
  EXPECT_GT(images.pixels.size(), 500U);
  const auto found = images.find();
  EXPECT_THAT(found.pairs, IsEmpty());
  EXPECT_LT(found.closest.empty() ? 0 : found.closest.front().correlation, 0.96);
}

TEST_F(RealImages, PatchesThatStandTwiceAreFound) {
  const auto images = read("pcam/train/1", 32,
                           [](int64_t i, const fs::path&) { return static_cast<Split>(i % 3); });
  if (images.pixels.empty()) GTEST_SKIP() << "no " << data() / "pcam/train/1";
  const auto found = images.find();
  EXPECT_GT(found.pairs.size(), 100U);
  for (const auto& pair : found.pairs)
    EXPECT_TRUE(images.pixels[static_cast<size_t>(pair.a)].equal(
        images.pixels[static_cast<size_t>(pair.b)]));
}

}  // namespace
}  // namespace stylescope
