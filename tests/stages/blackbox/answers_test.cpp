// What f is given, and what becomes of its scores.
#include "stages/blackbox/answers.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "tests/support/temp_dir.hpp"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

torch::Tensor colours() {
  return torch::arange(2 * 3 * 8 * 8).mul(37).remainder(256).to(torch::kUInt8).view({2, 3, 8, 8});
}

torch::Tensor table(std::vector<double> values, int64_t columns) {
  return torch::tensor(values, torch::kFloat32).view({-1, columns});
}

TEST(ImagesFor, WhatFitsStaysAsItIs) { EXPECT_TRUE(images_for(colours(), 3, 8).equal(colours())); }

TEST(ImagesFor, GreyIsRepeatedAndColoursBecomeTheLuminanceOfReadPicture) {
  const auto grey = colours().slice(1, 0, 1);
  const auto rgb = images_for(grey, 3, 8);
  EXPECT_EQ(rgb.sizes(), (std::vector<int64_t>{2, 3, 8, 8}));
  for (int64_t c = 0; c < 3; ++c) EXPECT_TRUE(rgb.select(1, c).equal(grey.select(1, 0)));

  const testing_support::TempDir dir;
  write_png(dir / "colours.png", colours()[1]);
  EXPECT_TRUE(images_for(colours(), 1, 8)[1].equal(read_picture(dir / "colours.png", 1)));
}

TEST(ImagesFor, SizesChangeAsPicturesDo) {
  const auto small = images_for(colours(), 3, 4), large = images_for(colours(), 1, 20);
  EXPECT_TRUE(small[1].equal(resize_picture(colours()[1], 4)));
  EXPECT_EQ(large.sizes(), (std::vector<int64_t>{2, 1, 20, 20}));
  EXPECT_EQ(images_for(colours().slice(0, 0, 0), 3, 4).size(0), 0);
}

TEST(ProbabilitiesOf, LogitsByTheLogisticFunctionAndSoftmax) {
  const auto two = probabilities_of(table({0, 0, 1, 3}, 2), "logits", 2, 2, "f");
  EXPECT_EQ(two.scalar_type(), torch::kFloat64);
  EXPECT_NEAR(two[1][1].item<double>(), 1 / (1 + std::exp(-2.0)), 1e-12);
  for (const auto& one : {table({0, 2}, 1), table({0, 2}, 1).squeeze(1)}) {
    const auto single = probabilities_of(one, "logits", 2, 2, "f");
    EXPECT_TRUE(torch::allclose(single, two, 0, 1e-12)) << single;
  }
}

TEST(ProbabilitiesOf, ProbabilitiesStayWhatTheyAreButForRounding) {
  const auto three =
      probabilities_of(table({0.25, 0.25, 0.5, 1.0001, 0, -0.0001}, 3), "probabilities", 2, 3, "f");
  EXPECT_EQ(three[0][2].item<double>(), 0.5);
  EXPECT_EQ(three.max().item<double>(), 1);
  EXPECT_EQ(three.min().item<double>(), 0);
  const auto single = probabilities_of(table({0.75}, 1), "probabilities", 1, 2, "f");
  EXPECT_TRUE(single.equal(torch::tensor({{0.25, 0.75}}, torch::kFloat64)));
}

TEST(ProbabilitiesOf, WhatIsWrongIsSaid) {
  const auto says = [](const torch::Tensor& scores, const char* kind, int64_t images,
                       int64_t classes, const char* part) {
    EXPECT_THAT([&] { probabilities_of(scores, kind, images, classes, "f, mine"); },
                ThrowsMessage<Error>(testing::AllOf(HasSubstr("f, mine: "), HasSubstr(part))));
  };
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinite = std::numeric_limits<double>::infinity();
  says(table({0, 0, 0, 0}, 2), "logits", 3, 2, "shape [2, 2] for 3 images");
  says(table({0, 0, 0}, 3), "logits", 1, 2, "gives 3 scores an image, but there are 2 classes");
  says(table({0, 0, 0}, 1), "logits", 3, 3, "gives 1 scores an image, but there are 3 classes");
  says(table({0, 0, nan, 0}, 2), "logits", 2, 2, "1 of 2 images get NaN or infinity");
  says(table({infinite, 0}, 2), "probabilities", 1, 2, "no finite numbers");
  says(table({-2.5, 3.5}, 2), "probabilities", 1, 2, "gives -2.5, which is no probability");
  says(table({1.25}, 1), "probabilities", 1, 2, "say classifier.scores: logits");
  says(table({0.5, 0.5, 0.75, 0.75}, 2), "probabilities", 2, 2, "add up to 1.5");
}

}  // namespace
}  // namespace stylescope
