#include "io/slide_mpp.hpp"

#include "tests/io/faults.hpp"

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::overwrite;
using testing_support::TempDir;
using Properties = std::map<std::string, std::string>;

// Properties, and nothing else.
class NamedSlide final : public Slide {
 public:
  explicit NamedSlide(Properties properties) : properties_(std::move(properties)) {}
  const std::filesystem::path& file() const override { return file_; }
  const std::vector<SlideLevel>& levels() const override { return levels_; }
  const Properties& properties() const override { return properties_; }
  SlideReader reader() const override { return SlideReader::openslide; }
  void read(int64_t, int64_t, int64_t, int64_t, int64_t, uint8_t*, int64_t) override {}
  std::optional<std::string> stored_jpeg(int64_t, int64_t, int64_t, int64_t, int64_t) override {
    return std::nullopt;
  }
  int64_t decoded_tiles() const override { return 0; }

 private:
  std::filesystem::path file_ = "slides/patient_7.node.tif";
  std::vector<SlideLevel> levels_{{100, 100}};
  Properties properties_;
};

Properties resolution(const char* unit, const char* x, const char* y) {
  return {{"tiff.ResolutionUnit", unit}, {"tiff.XResolution", x}, {"tiff.YResolution", y}};
}

TEST(SlideMpp, OpenslideComesFirst) {
  auto properties = resolution("centimeter", "40000", "40000");
  properties["openslide.mpp-x"] = "0.499";
  properties["openslide.mpp-y"] = "0.501";
  const auto mpp = find_mpp(NamedSlide(properties), {{"patient_7.node", {1, 1, "a.csv"}}});
  ASSERT_TRUE(mpp);
  EXPECT_DOUBLE_EQ(mpp->x, 0.499);
  EXPECT_DOUBLE_EQ(mpp->y, 0.501);
  EXPECT_EQ(mpp->source, "openslide.mpp");
}

TEST(SlideMpp, TheResolutionOfTheTiffInItsUnit) {
  const auto cm = find_mpp(NamedSlide(resolution("centimeter", "40000", "20000")), {});
  ASSERT_TRUE(cm);
  EXPECT_DOUBLE_EQ(cm->x, 0.25);
  EXPECT_DOUBLE_EQ(cm->y, 0.5);
  EXPECT_EQ(cm->source, "tiff resolution");
  const auto inch = find_mpp(NamedSlide(resolution("inch", "50800", "50800")), {});
  ASSERT_TRUE(inch);
  EXPECT_DOUBLE_EQ(inch->x, 0.5);
  EXPECT_FALSE(find_mpp(NamedSlide(resolution("none", "40000", "40000")), {}));
  EXPECT_FALSE(find_mpp(NamedSlide({{"tiff.XResolution", "40000"}}), {}));
  EXPECT_FALSE(find_mpp(NamedSlide(resolution("inch", "0", "0")), {}));
}

TEST(SlideMpp, ImplausibleValuesDoNotCount) {
  EXPECT_FALSE(find_mpp(NamedSlide(resolution("inch", "72", "72")), {}));  // a screen's
  EXPECT_FALSE(find_mpp(NamedSlide(resolution("centimeter", "300000", "300000")), {}));
  EXPECT_FALSE(find_mpp(NamedSlide(resolution("centimeter", "nan", "nan")), {}));
  Properties properties = resolution("centimeter", "40000", "40000");
  properties["openslide.mpp-x"] = properties["openslide.mpp-y"] = "0";
  const auto mpp = find_mpp(NamedSlide(properties), {});
  ASSERT_TRUE(mpp);
  EXPECT_EQ(mpp->source, "tiff resolution");
}

TEST(SlideMpp, TheCsvByNameAndThenByStem) {
  const NamedSlide slide({});
  const std::map<std::string, Mpp> both{{"patient_7.node", {1, 1, "stem"}},
                                        {"patient_7.node.tif", {2, 2, "name"}}};
  EXPECT_EQ(find_mpp(slide, both)->source, "name");
  EXPECT_EQ(find_mpp(slide, {{"patient_7.node", {1, 1, "stem"}}})->source, "stem");
  EXPECT_FALSE(find_mpp(slide, {{"patient_7", {1, 1, "other"}}}));
}

TEST(SlideMpp, CsvFiles) {
  TempDir dir;
  const auto file = dir / "mpp.csv";
  overwrite(file, "\xEF\xBB\xBFslide, mpp\r\n\"a.svs\", 0.25\r\n\r\nb,0.5\r\n");
  auto slides = read_mpp_csv(file);
  ASSERT_EQ(slides.size(), 2U);
  EXPECT_DOUBLE_EQ(slides["a.svs"].x, 0.25);
  EXPECT_DOUBLE_EQ(slides["b"].y, 0.5);
  EXPECT_EQ(slides["b"].source, file.string());
  overwrite(file, "slide,mpp_x,mpp_y\na.svs,0.25,0.26\n");
  EXPECT_DOUBLE_EQ(read_mpp_csv(file)["a.svs"].y, 0.26);
}

TEST(SlideMpp, CsvErrorsNameFileAndLine) {
  TempDir dir;
  const auto file = dir / "mpp.csv";
  const auto expect = [&](const char* text, const char* place, const char* words) {
    overwrite(file, text);
    const std::string message = error_of([&] { read_mpp_csv(file); });
    EXPECT_EQ(message.find(file.string() + place), 0U) << message;
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  expect("", ": ", "is empty");
  expect("name,size\na,1\n", ":1: ", "other columns");
  expect("slide,mpp\na,fast\n", ":2: ", "no number");
  expect("slide,mpp\na,0.25x\n", ":2: ", "no number");
  expect("slide,mpp\na,nan\n", ":2: ", "no number");
  expect("slide,mpp\na,0.25\nb,40\n", ":3: ", "no plausible");
  expect("slide,mpp\na,0.25\na,0.25\n", ":3: ", "second time");
  expect("slide,mpp\na\n", ":2: ", "columns");
  expect("slide,mpp\n,0.25\n", ":2: ", "name a slide");
}

}  // namespace
}  // namespace stylescope
