#include "stages/tile/tile_stage.hpp"

#include "io/image_set.hpp"
#include "io/picture.hpp"
#include "tests/io/faults.hpp"
#include "tests/stages/tile/made_slides.hpp"
#include "tests/stages/tile/tile_run.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace testing_support;
using testing::HasSubstr;

// Ten slides, tiled once for the tests that only look.
class TiledOnce : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    write_made_set(*dir_ / "slides", 6, 4);
    SelfCommunicator world;
    metrics_ = run_tile_into(made_config(*dir_ / "slides"), world, dir_->path());
  }
  static void TearDownTestSuite() { delete dir_; }
  static fs::path out() { return *dir_ / "tile.partial"; }

  static TempDir* dir_;
  static nlohmann::json metrics_;
};
TempDir* TiledOnce::dir_ = nullptr;
nlohmann::json TiledOnce::metrics_;

TEST_F(TiledOnce, EveryTileOfTheTissueWithItsLabel) {
  const ImageSet images(out() / "images.h5");
  // Tissue is 10 x 8 tiles, tumour 4 x 4 of them; every edge lies on the grid.
  EXPECT_EQ(images.size(), 10 * 80);
  EXPECT_EQ(images.shards().size(), 10u);
  int64_t positive = 0;
  for (int64_t i = 0; i < images.size(); ++i) {
    const auto& record = images.record(i);
    const MadeRect tissue = MadeSlide().tissue, tumour{256, 256, 256, 256};
    const auto x = static_cast<int64_t>(record.x), y = static_cast<int64_t>(record.y);
    EXPECT_TRUE(tissue.holds(x, y) && tissue.holds(x + 63, y + 63)) << record.slide;
    const bool tumor = record.slide.starts_with("tumor") && tumour.holds(x, y);
    EXPECT_EQ(record.label, tumor) << record.slide << " " << x << "," << y;
    EXPECT_DOUBLE_EQ(record.attributes.at("positive"), tumor ? 1 : 0);
    EXPECT_DOUBLE_EQ(record.attributes.at("mpp_x"), 0.5);
    EXPECT_GE(record.attributes.at("tissue"), 0.5);
    positive += record.label;
  }
  EXPECT_EQ(positive, 4 * 16);
}

TEST_F(TiledOnce, PixelsAreTheSlidesOwn) {
  const ImageSet images(out() / "images.h5");
  std::unique_ptr<Slide> slide;
  std::string open;
  for (int64_t i = 0; i < images.size(); i += 7) {
    const auto& record = images.record(i);
    if (open != record.slide)
      slide = open_slide(*dir_ / "slides" / record.path, {SlideReader::openslide});
    open = record.slide;
    auto rgb = torch::empty({64, 64, 3}, torch::kUInt8);
    slide->read(0, std::llround(record.x), std::llround(record.y), 64, 64, rgb.data_ptr<uint8_t>(),
                3 * 64);
    EXPECT_TRUE(torch::equal(images.read({i})[0], rgb.permute({2, 0, 1}))) << i;
  }
}

TEST_F(TiledOnce, SaysWhatBecameOfEveryPlace) {
  const ImageSet shard(out() / "shards" / "tumor_001.h5");
  const auto fate = shard.table("fate"), x = shard.table("x"), tissue = shard.table("tissue");
  EXPECT_EQ(fate.numel(), x.numel());
  EXPECT_GT(fate.numel(), shard.size());
  EXPECT_EQ(fate.eq(0).sum().item<int64_t>(), shard.size());
  EXPECT_EQ(shard.strings("fate_names").front(), "kept");
  // Measured where a tile was read, and where none was, what the mask says.
  const auto focus = shard.table("focus");
  EXPECT_TRUE(focus.isfinite().eq(fate.eq(0)).all().item<bool>());
  EXPECT_TRUE(tissue.isfinite().all().item<bool>());

  const auto state = nlohmann::json::parse(std::ifstream(out() / "slides" / "tumor_001.json"));
  EXPECT_EQ(state.at("status"), "done");
  EXPECT_EQ(state.at("mpp_source"), "tiff resolution");
  EXPECT_EQ(state.at("reader"), "direct");
  EXPECT_EQ(state.at("tiles"), 80);
}

TEST_F(TiledOnce, PicturesListsAndFigures) {
  const auto overview = read_picture(out() / "overview" / "tumor_002.png", 3);
  EXPECT_GT(overview.size(2), 400);
  const auto outline = read_geojson(out() / "tissue" / "normal_001.geojson");
  ASSERT_EQ(outline.shapes.size(), 1u);
  EXPECT_EQ(outline.shapes[0].group, "Tissue");
  EXPECT_TRUE(fs::exists(out() / "contact_sheet.png"));
  std::ifstream table(out() / "slides.csv");
  std::string line;
  int64_t lines = 0;
  while (std::getline(table, line)) ++lines;
  EXPECT_EQ(lines, 11);
  EXPECT_EQ(metrics_.at("images"), 800);
  EXPECT_EQ(metrics_.at("slides"), 10);
  EXPECT_EQ(metrics_.at("bad_slides"), 0);
  EXPECT_GT(metrics_.at("tiles_per_second").get<double>(), 0);
  int64_t subjects = 0;
  for (const char* split : {"train", "val", "test"})
    subjects += metrics_.at(std::string(split) + "_subjects").get<int64_t>();
  EXPECT_EQ(subjects, 10);
}

TEST_F(TiledOnce, ReadsAPlaceAsTheStageDoes) {
  const ImageSet images(out() / "images.h5");
  const auto& record = images.record(5);
  const auto pixels = read_place(made_config(*dir_ / "slides"), 5, *dir_ / "slides" / record.path,
                                 record.x + 32, record.y + 32);
  EXPECT_TRUE(torch::equal(pixels, images.read({5})[0]));
  EXPECT_THROW(read_place(made_config(*dir_ / "slides"), 5, *dir_ / "slides" / record.path, 1e6, 5),
               Error);
}

// Every tenth tile against the mean of level 0 over its pixels' footprints, in float64. The stage
// may read a smaller level, which the pyramid rounded: that is worth a grey level.
void expect_area_means(const fs::path& slides, const ImageSet& images, double scale) {
  for (int64_t i = 0; i < images.size(); i += 10) {
    const auto& record = images.record(i);
    const auto slide = open_slide(slides / record.path);
    const auto& full = slide->levels().front();
    auto rgb = torch::empty({full.height, full.width, 3}, torch::kUInt8);
    slide->read(0, 0, 0, full.width, full.height, rgb.data_ptr<uint8_t>(), 3 * full.width);
    const auto sums =
        torch::constant_pad_nd(rgb.to(torch::kFloat64).cumsum(0).cumsum(1), {0, 0, 1, 0, 1, 0});
    // The integral at a fractional place, by bilinear interpolation of the whole sums.
    const auto integral = [&](double x, double y) {
      const auto ix = static_cast<int64_t>(x), iy = static_cast<int64_t>(y);
      const double fx = x - static_cast<double>(ix), fy = y - static_cast<double>(iy);
      const int64_t jx = std::min(ix + 1, full.width), jy = std::min(iy + 1, full.height);
      return (1 - fx) * (1 - fy) * sums[iy][ix] + fx * (1 - fy) * sums[iy][jx] +
             (1 - fx) * fy * sums[jy][ix] + fx * fy * sums[jy][jx];
    };
    const auto tile = images.read({i})[0];
    for (const auto& [row, column] : {std::pair<int64_t, int64_t>{0, 0}, {5, 17}, {31, 31}}) {
      const double x = record.x + static_cast<double>(column) * scale;
      const double y = record.y + static_cast<double>(row) * scale;
      const auto mean = (integral(x + scale, y + scale) - integral(x, y + scale) -
                         integral(x + scale, y) + integral(x, y)) /
                        (scale * scale);
      for (int64_t c = 0; c < 3; ++c)
        EXPECT_NEAR(tile[c][row][column].item<double>(), mean[c].item<double>(), 1.5)
            << record.slide << " " << row << "," << column;
    }
  }
}

class Tile : public testing::Test {
 protected:
  void SetUp() override { write_made_set(slides(), 4, 4); }
  fs::path slides() const { return dir_ / "slides"; }
  TileConfig config() const { return made_config(slides()); }
  nlohmann::json run(const TileConfig& config, const std::string& out = "tile.partial") {
    SelfCommunicator world;
    return run_tile_into(config, world, dir_.path(), out);
  }
  std::string failure(const TileConfig& config) { return tile_failure(config, dir_.path()); }

  TempDir dir_;
};

TEST_F(Tile, ThreadsAndReadersGiveTheSameFiles) {
  auto one = config();
  one.stride = 0.7;  // unaligned, overlapping
  run(one, "one");
  auto three = one;
  three.threads = 3;
  run(three, "three");
  EXPECT_EQ(tile_files(dir_ / "one"), tile_files(dir_ / "three"));
  auto by_openslide = one;
  by_openslide.reader = "openslide";
  run(by_openslide, "openslide");
  EXPECT_EQ(tile_files(dir_ / "one"), tile_files(dir_ / "openslide"));
}

TEST_F(Tile, StorageChangesTheBytesAndNotThePixels) {
  run(config(), "none");
  const ImageSet plain(dir_ / "none" / "images.h5");
  std::vector<int64_t> all(static_cast<size_t>(plain.size()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  for (const char* storage : {"lz4", "zstd", "jpeg"}) {
    auto other = config();
    other.storage = storage;
    other.tile_px = 64;
    run(other, storage);
    EXPECT_TRUE(torch::equal(plain.read(all), ImageSet(dir_ / storage / "images.h5").read(all)))
        << storage;
  }
  // Tiles of the stored size, on its grid: the slide's own JPEG, byte for byte.
  auto kept = config();
  kept.tile_px = 128;
  kept.storage = "jpeg";
  run(kept, "kept");
  kept.storage = "none";
  run(kept, "raw");
  const ImageSet jpeg(dir_ / "kept" / "images.h5"), raw(dir_ / "raw" / "images.h5");
  std::vector<int64_t> rows{0, 3, 5};
  EXPECT_TRUE(torch::equal(jpeg.read(rows), raw.read(rows)));
  EXPECT_LT(fs::file_size(dir_ / "kept" / "shards" / "normal_001.h5"),
            fs::file_size(dir_ / "raw" / "shards" / "normal_001.h5") / 2);
}

TEST_F(Tile, ExactPhysicalSizeFromAnyLevel) {
  auto half = config();
  half.mpp = 1;  // a stored level
  half.tile_px = 32;
  run(half, "half");
  auto odd = config();
  odd.mpp = 0.83;
  odd.tile_px = 32;
  run(odd, "odd");
  const ImageSet images(dir_ / "odd" / "images.h5");
  for (int64_t i = 0; i < images.size(); i += 11) {
    const auto& record = images.record(i);
    EXPECT_DOUBLE_EQ(record.attributes.at("side_x"), 32 * 0.83 / 0.5);
    EXPECT_DOUBLE_EQ(record.attributes.at("mpp_x"), 0.83);
    const double steps = record.x / record.attributes.at("side_x");
    EXPECT_NEAR(steps, std::round(steps), 1e-9);
  }
  expect_area_means(slides(), images, 0.83 / 0.5);
  const auto state =
      nlohmann::json::parse(std::ifstream(dir_ / "half" / "slides" / "normal_001.json"));
  EXPECT_EQ(state.at("level"), 1);
  EXPECT_TRUE(state.at("native").get<bool>());
}

TEST_F(Tile, FinishedSlidesAreNotReadAgainAndOldOnesTakenOver) {
  run(config());
  const auto before = tile_files(dir_ / "tile.partial");
  const auto time = fs::last_write_time(dir_ / "tile.partial" / "shards" / "normal_002.h5");
  fs::remove(dir_ / "tile.partial" / "shards" / "normal_001.h5");
  fs::remove(dir_ / "tile.partial" / "images.h5");
  run(config());
  EXPECT_EQ(before, tile_files(dir_ / "tile.partial"));
  EXPECT_EQ(time, fs::last_write_time(dir_ / "tile.partial" / "shards" / "normal_002.h5"));

  // A slide more: a new stage folder, and only the new slide is read.
  fs::rename(dir_ / "tile.partial", dir_ / "tile");
  MadeSlide more;
  more.seed = 99;
  write_made(slides() / "normal_009.tif", more);
  run(config());
  EXPECT_TRUE(fs::equivalent(dir_ / "tile" / "shards" / "normal_002.h5",
                             dir_ / "tile.partial" / "shards" / "normal_002.h5"));
  EXPECT_EQ(ImageSet(dir_ / "tile.partial" / "images.h5").size(), 9 * 80);
}

TEST_F(Tile, AnotherScaleTakesNothingOver) {
  run(config());
  fs::rename(dir_ / "tile.partial", dir_ / "tile");
  auto other = config();
  other.mpp = 1;
  run(other);
  EXPECT_FALSE(fs::equivalent(dir_ / "tile" / "shards" / "normal_002.h5",
                              dir_ / "tile.partial" / "shards" / "normal_002.h5"));
}

TEST_F(Tile, NoScaleIsNoGuess) {
  MadeSlide without;
  without.mpp = 0;
  without.seed = 50;
  write_made(slides() / "normal_050.tif", without);
  EXPECT_THAT(failure(config()), HasSubstr("does not say how many micrometres a pixel has"));
  std::ofstream(dir_ / "mpp.csv") << "slide,mpp\nnormal_050.tif,0.5\n";
  auto known = config();
  known.mpp_csv = (dir_ / "mpp.csv").string();
  run(known, "known");
  const auto state =
      nlohmann::json::parse(std::ifstream(dir_ / "known" / "slides" / "normal_050.json"));
  EXPECT_EQ(state.at("mpp_source"), known.mpp_csv);
}

TEST_F(Tile, ASlideWithoutTissueIsAnAlarm) {
  MadeSlide glass;
  glass.tissue = {};
  write_made(slides() / "normal_060.tif", glass);
  const auto message = failure(config());
  EXPECT_THAT(message, HasSubstr("1 of 9 slides cannot be used"));
  EXPECT_THAT(message, HasSubstr("gives no tile"));
  EXPECT_THAT(message, HasSubstr("look at overview/normal_060.png"));
  EXPECT_TRUE(fs::exists(dir_ / "tile.partial" / "overview" / "normal_060.png"));
  auto tolerant = config();
  tolerant.max_bad_fraction = 0.2;
  const auto metrics = run(tolerant);
  EXPECT_EQ(metrics.at("bad_slides"), 1);
  EXPECT_EQ(metrics.at("images"), 8 * 80);
}

TEST_F(Tile, BrokenSlidesAreListedAndCounted) {
  std::ofstream(slides() / "normal_070.tif") << "";
  std::ofstream(slides() / "normal_071.svs") << "no slide at all";
  fs::copy_file(slides() / "normal_001.tif", slides() / "normal_072.tif");
  fs::resize_file(slides() / "normal_072.tif", fs::file_size(slides() / "normal_072.tif") / 2);
  const auto message = failure(config());
  EXPECT_THAT(message, HasSubstr("3 of 11 slides cannot be used"));
  std::stringstream list;
  list << std::ifstream(dir_ / "tile.partial" / "bad_files.csv").rdbuf();
  for (const char* name : {"normal_070.tif", "normal_071.svs", "normal_072.tif"})
    EXPECT_THAT(list.str(), HasSubstr(name));
}

TEST_F(Tile, CorrectedTissueAndExclusions) {
  fs::create_directories(dir_ / "tissue");
  // The user says: only the left part is tissue.
  write_geojson(dir_ / "tissue" / "normal_001.geojson",
                {{ring_of({128, 128, 256, 512}), {}, "", "Tissue"}});
  write_asap_xml(slides() / "tumor_001.xml",
                 {{ring_of({256, 256, 256, 256}), {}, "", "Tumor"},
                  {ring_of({256, 256, 128, 256}), {}, "", "Exclusion"}});
  auto corrected = config();
  corrected.tissue_outlines = (dir_ / "tissue").string();
  run(corrected);
  const ImageSet images(dir_ / "tile.partial" / "images.h5");
  int64_t left = 0, positive = 0;
  for (int64_t i = 0; i < images.size(); ++i) {
    left += images.record(i).slide == "normal_001";
    positive += images.record(i).slide == "tumor_001" && images.record(i).label == 1;
  }
  EXPECT_EQ(left, 4 * 8);
  EXPECT_EQ(positive, 2 * 4);
}

TEST_F(Tile, MasksInPlaceOfOutlines) {
  fs::create_directories(dir_ / "masks");
  for (int i = 1; i <= 4; ++i) {
    TiffPyramidOptions options;
    options.width = 1024 + 64 * ((3 + i) % 3);
    options.height = 768;
    options.mpp = 0.5;
    options.quality = 100;
    options.subsample = false;
    const std::string name = "tumor_00" + std::to_string(i);
    write_tiff_pyramid(
        dir_ / "masks" / (name + "_mask.tif"), options,
        [](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
          for (int64_t r = y; r < y + h; ++r)
            for (int64_t c = x; c < x + w; ++c, rgb += 3)
              rgb[0] = rgb[1] = rgb[2] = MadeRect{256, 256, 256, 256}.holds(c, r) ? 255 : 0;
          return true;
        });
  }
  run(config(), "outlines");
  auto masked = config();
  masked.labels.from = "masks";
  masked.labels.annotations = (dir_ / "masks").string();
  masked.labels.mask_value = 128;
  run(masked, "masks");
  const ImageSet by_outlines(dir_ / "outlines" / "images.h5"),
      by_masks(dir_ / "masks" / "images.h5");
  ASSERT_EQ(by_outlines.size(), by_masks.size());
  for (int64_t i = 0; i < by_masks.size(); ++i)
    EXPECT_EQ(by_outlines.record(i).label, by_masks.record(i).label) << i;
}

TEST_F(Tile, StainsAreBroughtTogether) {
  auto normalised = config();
  normalised.stain.method = "reinhard";
  normalised.stain.target = (slides() / "normal_001.tif").string();
  run(normalised, "stain");
  run(config(), "plain");
  const ImageSet stain(dir_ / "stain" / "images.h5"), plain(dir_ / "plain" / "images.h5");
  ASSERT_EQ(stain.size(), plain.size());
  // Each slide's mean colour comes nearer to the target's.
  const auto mean = [](const ImageSet& set, const std::string& slide) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < set.size(); ++i)
      if (set.record(i).slide == slide) rows.push_back(i);
    return set.read(rows).to(torch::kFloat64).mean(torch::IntArrayRef{0, 2, 3});
  };
  const auto target = mean(plain, "normal_001");
  EXPECT_LT((mean(stain, "tumor_001") - target).abs().max().item<double>(),
            0.5 * (mean(plain, "tumor_001") - target).abs().max().item<double>());
}

// Paints `rect` of a new slide with one colour, whatever is there.
void write_spoilt(const fs::path& file, const MadeRect& rect, std::array<uint8_t, 3> colour) {
  MadeSlide slide;
  TiffPyramidOptions options;
  options.width = slide.width;
  options.height = slide.height;
  options.tile = 128;
  options.quality = 95;
  options.subsample = false;
  options.mpp = slide.mpp;
  write_tiff_pyramid(file, options, [&](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
    draw_made(slide, x, y, w, h, rgb);
    for (int64_t row = y; row < y + h; ++row)
      for (int64_t column = x; column < x + w; ++column)
        if (rect.holds(column, row))
          std::copy(colour.begin(), colour.end(), rgb + 3 * ((row - y) * w + column - x));
    return true;
  });
}

TEST_F(Tile, InkPaddingAndGlassAreLeftOutAndSaid) {
  const MadeRect spoilt{256, 192, 128, 128};  // two by two tiles of the tissue
  write_spoilt(slides() / "normal_080.tif", spoilt, {20, 60, 200});
  write_spoilt(slides() / "normal_081.tif", spoilt, {2, 2, 2});
  write_spoilt(slides() / "normal_082.tif", spoilt, {244, 244, 244});
  auto keen = config();
  keen.min_tissue = 0;  // what the mask leaves out is left to the pixels
  keen.quality.min_focus = 20;
  run(keen);
  const auto fates = [&](const std::string& slide) {
    return nlohmann::json::parse(
               std::ifstream(dir_ / "tile.partial" / "slides" / (slide + ".json")))
        .at("places");
  };
  EXPECT_EQ(fates("normal_080").at("pen"), 4);
  EXPECT_EQ(fates("normal_081").at("black"), 4);
  EXPECT_EQ(fates("normal_082").at("white").get<int>() - fates("normal_001").at("white").get<int>(),
            4);
  EXPECT_EQ(fates("normal_082").at("kept"), 76);
}

TEST_F(Tile, AFlatPlaceIsBlurred) {
  write_spoilt(slides() / "normal_083.tif", {256, 192, 128, 128}, {200, 130, 180});
  auto sharp = config();
  sharp.quality.min_focus = 20;
  run(sharp);
  const auto state =
      nlohmann::json::parse(std::ifstream(dir_ / "tile.partial" / "slides" / "normal_083.json"));
  EXPECT_EQ(state.at("places").at("blur"), 4);
  EXPECT_EQ(state.at("places").at("kept"), 76);
}

TEST_F(Tile, DamageInTheMiddleCostsItsTilesOnly) {
  // The JPEG data of some tile in the middle of the file: level 0 comes first.
  const fs::path file = slides() / "normal_003.tif";
  const auto size = fs::file_size(file);
  {
    std::fstream bytes(file, std::ios::binary | std::ios::in | std::ios::out);
    bytes.seekp(static_cast<std::streamoff>(size / 3));
    bytes << std::string(200, '\xff');
  }
  auto tolerant = config();
  tolerant.max_bad_fraction = 0.2;
  const auto metrics = run(tolerant);
  EXPECT_EQ(metrics.at("bad_slides"), 0);
  const auto state =
      nlohmann::json::parse(std::ifstream(dir_ / "tile.partial" / "slides" / "normal_003.json"));
  const int64_t lost = state.at("places").at("unreadable");
  EXPECT_GT(lost, 0);
  EXPECT_LE(lost, 8);
  EXPECT_EQ(state.at("tiles").get<int64_t>() + lost, 80);
  EXPECT_THAT(state.at("first_unreadable").get<std::string>(), HasSubstr("normal_003.tif"));
  // With the usual tolerance the slide is bad.
  EXPECT_THAT(failure(config()), HasSubstr("tiles cannot be read"));
}

TEST_F(Tile, TheCentreDecidesAsInPatchCamelyon) {
  auto centre = config();
  centre.labels.rule = "centre";
  centre.labels.centre_px = 16;
  centre.stride = 0.5;
  run(centre);
  const ImageSet images(dir_ / "tile.partial" / "images.h5");
  for (int64_t i = 0; i < images.size(); ++i) {
    const auto& record = images.record(i);
    const double x = record.x + 24, y = record.y + 24;  // the centre square's corner
    const bool touched =
        record.slide.starts_with("tumor") && x < 512 && x + 16 > 256 && y < 512 && y + 16 > 256;
    EXPECT_EQ(record.label, touched) << record.slide << " " << record.x << "," << record.y;
  }
}

TEST_F(Tile, TheWholeSlidesClass) {
  std::ofstream(dir_ / "list.csv")
      << "slide,subject,class,split\n"
         "normal_001.tif,a,grade 1,train\nnormal_002.tif,b,grade 2,train\n"
         "normal_003.tif,c,grade 3,train\nnormal_004.tif,d,grade 3,val\n"
         "tumor_001.tif,e,grade 2,test\n";
  auto graded = config();
  graded.labels.from = "slides";
  graded.class_names = {"grade 1", "grade 2", "grade 3"};
  graded.list = (dir_ / "list.csv").string();
  graded.split.mode = "list";
  run(graded);
  const ImageSet images(dir_ / "tile.partial" / "images.h5");
  for (int64_t i = 0; i < images.size(); ++i) {
    const auto& record = images.record(i);
    EXPECT_EQ(images.label_names()[static_cast<size_t>(record.label)],
              record.slide == "normal_001"                                  ? "grade 1"
              : record.slide == "normal_002" || record.slide == "tumor_001" ? "grade 2"
                                                                            : "grade 3");
  }
}

TEST_F(Tile, OutlinesThatCountForNothingAreNoNormalSlide) {
  write_asap_xml(slides() / "tumor_002.xml", {{ring_of({256, 256, 256, 256}), {}, "", "Tumour"}});
  EXPECT_THAT(failure(config()),
              HasSubstr("has no outline of a positive group (its groups: 'Tumour')"));
}

TEST_F(Tile, AScaleThatWasCorrectedTakesNothingOver) {
  MadeSlide without;
  without.mpp = 0;
  write_made(slides() / "normal_050.tif", without);
  auto known = config();
  known.mpp_csv = (dir_ / "mpp.csv").string();
  std::ofstream(known.mpp_csv) << "slide,mpp\nnormal_050,0.5\n";
  run(known);
  fs::rename(dir_ / "tile.partial", dir_ / "tile");
  std::ofstream(known.mpp_csv) << "slide,mpp\nnormal_050,0.25\n";
  run(known);
  const auto state =
      nlohmann::json::parse(std::ifstream(dir_ / "tile.partial" / "slides" / "normal_050.json"));
  EXPECT_EQ(state.at("mpp_x"), 0.25);
}

TEST_F(Tile, AFullDiskStopsWithASentenceAndGoesOnAfterwards) {
  SmallDisk disk("3m");
  SKIP_UNLESS_MOUNTED(disk);
  const auto message = tile_failure(config(), disk.path());
  EXPECT_THAT(message, HasSubstr("tile.partial"));
  EXPECT_THAT(message, HasSubstr("space"));
  disk.resize("64m");
  SelfCommunicator world;
  run_tile_into(config(), world, disk.path());
  run(config(), "undisturbed");
  EXPECT_EQ(tile_files(disk / "tile.partial"), tile_files(dir_ / "undisturbed"));
}

}  // namespace
}  // namespace stylescope
