// Escaping, base64, number texts, charts and heat maps.
#include "stages/html/chart.hpp"
#include "stages/html/heat_picture.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace stylescope::html {
namespace {

TEST(HtmlText, Escape) {
  EXPECT_EQ(escape("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
}

// The test vectors of RFC 4648, section 10.
TEST(HtmlText, Base64) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

TEST(HtmlText, Numbers) {
  EXPECT_EQ(fixed(1.25, 1), "1.2");
  EXPECT_EQ(fixed(-0.001, 2), "0.00");
  EXPECT_EQ(fixed(NAN, 2), "n/a");
  EXPECT_EQ(with_sign(0.5, 2), "+0.50");
  EXPECT_EQ(with_sign(-0.5, 2), "-0.50");
  EXPECT_EQ(with_sign(0.001, 2), "0.00");
  EXPECT_EQ(percent(0.874), "87 %");
  EXPECT_EQ(percent(0.001), "<1 %");
  EXPECT_EQ(percent(0.999), ">99 %");
  EXPECT_EQ(percent(1), "100 %");
  EXPECT_EQ(percent(0), "0 %");
  EXPECT_EQ(thousands(1234567), "1,234,567");
  EXPECT_EQ(thousands(999), "999");
  EXPECT_EQ(thousands(-1000), "-1,000");
  EXPECT_EQ(thousands(-100), "-100");
}

TEST(HtmlChart, AGapInTheDataInterruptsTheLine) {
  const auto svg = line_chart({{"a", {0, 1, 2, 3}, {0, 1, NAN, 2}}}, {.label = "a <chart>"});
  const auto path = svg.substr(svg.find("d=\"M"));
  EXPECT_EQ(std::count(path.begin(), path.begin() + static_cast<int64_t>(path.find('"', 4)), 'M'),
            2);
  EXPECT_NE(svg.find("a &lt;chart&gt;"), std::string::npos);
}

TEST(HtmlChart, LongSeriesAreThinnedButKeepTheirLastPoint) {
  Series series{"a", {}, {}};
  for (int i = 0; i <= 10000; ++i) series.x.push_back(i), series.y.push_back(i);
  const auto svg = line_chart({series}, {});
  EXPECT_LT(svg.size(), 10000U);
  // The last point lies in the upper right corner of the frame: 420 - 14, 12.
  EXPECT_NE(svg.find("L406.0 12.0\""), std::string::npos) << svg;
}

TEST(HtmlChart, NothingToDrawIsSaid) {
  EXPECT_NE(line_chart({}, {}).find("nothing to draw"), std::string::npos);
  EXPECT_NE(line_chart({{"a", {1}, {NAN}}}, {}).find("nothing to draw"), std::string::npos);
  EXPECT_NE(line_chart({{"a", {1}, {5}}}, {}).find("<svg"), std::string::npos)
      << "one point is something";
}

TEST(HtmlChart, LogarithmicAxesAreEvenInPowersAndLeaveOutWhatHasNoLogarithm) {
  const Series series{"a", {0, 1, 10, 100}, {5, 1, 10, 100}, true, true};
  const auto svg = line_chart({series}, {.x_log = true, .y_log = true});
  // Left to right, bottom to top of the frame: 52..406, 200..12.
  EXPECT_NE(svg.find("d=\"M52.0 200.0L229.0 106.0L406.0 12.0\""), std::string::npos) << svg;
  size_t dots = 0;
  for (auto at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1))
    ++dots;
  EXPECT_EQ(dots, 3U);
  EXPECT_NE(svg.find(">100</text>"), std::string::npos) << svg;
}

TEST(HtmlChart, WhatIsCountedHasNoTicksBetweenWholeNumbers) {
  const auto svg = line_chart({{"a", {1, 2}, {100, 200}}}, {.x_whole = true});
  EXPECT_NE(svg.find(">2</text>"), std::string::npos) << svg;
  EXPECT_EQ(svg.find(">1.2</text>"), std::string::npos) << svg;
}

TEST(HtmlChart, BarsAreStackedOnOneScale) {
  const auto svg = stacked_bars({{"one <rank>", {3, 1}}, {"two", {2, 0}}},
                                {.label = "b", .part_names = {"p", "q"}});
  // From 118 to 406 pixels for 4.
  EXPECT_NE(svg.find("x=\"118.0\" y=\"17.0\" width=\"216.0\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("x=\"334.0\" y=\"17.0\" width=\"72.0\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("x=\"118.0\" y=\"47.0\" width=\"144.0\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("one &lt;rank&gt;"), std::string::npos);
  EXPECT_NE(stacked_bars({}, {}).find("nothing to draw"), std::string::npos);
}

TEST(HtmlHeat, RisesInBrightness) {
  const auto heat = heat_picture(torch::linspace(0, 10, 11, torch::kFloat32).unsqueeze(0), 10)
                        .to(torch::kInt)
                        .sum(0)[0];
  EXPECT_TRUE(heat.slice(0, 1).gt(heat.slice(0, 0, 10)).all().item<bool>()) << heat;
}

TEST(HtmlHeat, AnOverlayOfZeroIsTheGreyImage) {
  const auto image = torch::arange(256, torch::kUInt8).view({1, 16, 16});
  EXPECT_TRUE(
      torch::equal(overlay_picture(image, torch::zeros({16, 16})), image.expand({3, 16, 16})));
  EXPECT_FALSE(
      torch::equal(overlay_picture(image, torch::ones({16, 16})), image.expand({3, 16, 16})));
}

TEST(HtmlPage, TitleIsEscapedAndStyleAndScriptAreInside) {
  const auto text = page("<x>", "<p>body</p>");
  EXPECT_NE(text.find("<title>&lt;x&gt;</title>"), std::string::npos);
  EXPECT_NE(text.find(kScript), std::string::npos);
  EXPECT_NE(text.find(kStyle), std::string::npos);
}

}  // namespace
}  // namespace stylescope::html
