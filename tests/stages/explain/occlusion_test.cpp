// Where an f looks that is known by its answers alone.
#include "stages/explain/occlusion.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

// The brightness of the pixel (5, 11).
torch::Tensor pixel(const torch::Tensor& images) {
  return images.select(1, 0).select(1, 5).select(1, 11).to(torch::kFloat64) / 255;
}

torch::Tensor picture() {
  auto image = torch::zeros({3, 16, 16}, torch::kUInt8);
  image[0][5][11] = 255;
  return image;
}

TEST(Occlusion, ShowsThePixelThatCounts) {
  int64_t asked = 0;
  const auto map = occlusion_map(picture(), 8, 7, [&](const torch::Tensor& images) {
    EXPECT_LE(images.size(0), 7);
    asked += images.size(0);
    return pixel(images);
  });
  EXPECT_EQ(asked, 15 * 15 + 1);
  ASSERT_EQ(map.sizes(), (std::vector<int64_t>{16, 16}));
  EXPECT_EQ(map.argmax().item<int64_t>(), 5 * 16 + 11);
  // Each patch over it takes it away, but for the mean colour: round(255 / 256) = 1.
  EXPECT_NEAR(map[5][11].item<double>(), 254.0 / 255, 1e-6);
  EXPECT_EQ(map[5][13].item<double>(), 0) << "no patch of two pixels lies on both";
  EXPECT_EQ(map[0].max().item<double>(), 0);
}

TEST(Occlusion, CoversEveryPixelAndAsksNoMoreThanItSays) {
  for (const int64_t side : {16, 20, 33})
    for (const int64_t patches : {2, 5, 8, 64}) {
      int64_t asked = 0;
      auto image = torch::full({1, side, side}, 200, torch::kUInt8);
      image[0][0][0] = 0;
      const auto map = occlusion_map(image, patches, 64, [&](const torch::Tensor& images) {
        asked += images.size(0);
        return images.flatten(1).to(torch::kFloat64).mean(1) / 255;
      });
      EXPECT_LE(asked, (2 * patches - 1) * (2 * patches - 1) + 1);
      EXPECT_TRUE(map.isfinite().all().item<bool>()) << side << " " << patches;
      EXPECT_LE(map.max().item<double>(), 1);
    }
}

}  // namespace
}  // namespace stylescope
