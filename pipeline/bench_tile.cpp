#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "io/openslide_reader.hpp"
#include "io/scratch_folder.hpp"
#include "io/tiff_pyramid.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "stages/phantom/slide_phantom.hpp"
#include "stages/tile/slide_list.hpp"
#include "stages/tile/slide_tiling.hpp"

#include <algorithm>
#include <cmath>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr double kMpp = 0.5;    // of the drawn slide
constexpr int64_t kSlides = 3;  // the same one, by other names

// One way of tiling the slide.
struct Variant {
  const char* name;
  const char* reader;
  const char* storage;
  double mpp_factor;  // of the slide's own
  double stride;
};
constexpr Variant kVariants[] = {
    {"direct", "direct", "none", 1, 1},
    {"direct, lz4", "direct", "lz4", 1, 1},
    {"direct, zstd", "direct", "zstd", 1, 1},
    {"direct, kept JPEG", "direct", "jpeg", 1, 1},
    {"direct, unaligned", "direct", "none", 1, 0.9},
    {"direct, x 1.002", "direct", "none", 1.002, 1},
    {"direct, x 2", "direct", "none", 2, 1},
    {"openslide", "openslide", "none", 1, 1},
};

class TileBenchmark {
 public:
  TileBenchmark(const TileBench& bench, const Launch& at, double seconds)
      : bench_(bench),
        at_{at.world, at.stop, torch::kCPU, at.dtype, at.threads},
        seconds_(seconds),
        folder_(bench.dir) {
    listed_.name = "slide";
    listed_.subject = "slide";
    listed_.label = 0;
    listed_.file = bench.slide.empty() ? draw() : bench.slide;
  }

  BenchReport run() {
    describe();
    const double bare = bare_loop();
    for (const auto& variant : kVariants) {
      if (std::string(variant.reader) == "direct" && !opens_directly()) {
        report_.notes.push_back(std::string(variant.name) +
                                ": left out, the direct reader does not fit: " + no_direct_);
        continue;
      }
      add(variant, bare);
    }
    return std::move(report_);
  }

 private:
  // Stained tissue, JPEG tiles of 256, several levels.
  fs::path draw() {
    const fs::path file = folder_.path() / "slide.tif";
    SlidePhantomConfig config;
    config.width = config.height = bench_.size;
    config.mpp = kMpp;
    const SlidePhantom phantom(config, 0, at_.world.rank());
    TiffPyramidOptions options;
    options.width = options.height = bench_.size;
    options.mpp = kMpp;
    write_tiff_pyramid(
        file, options,
        [&](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
          return phantom.draw(x, y, w, h, rgb);
        },
        at_.threads);
    return file;
  }

  TileConfig config_of(const Variant& variant) const {
    TileConfig config;
    config.path = listed_.file.parent_path().string();
    config.labels.from = "slides";
    config.tile_px = bench_.tile_px;
    config.mpp = mpp_ * variant.mpp_factor;
    config.stride = variant.stride;
    config.reader = variant.reader;
    config.storage = variant.storage;
    config.threads = at_.threads;
    // Every place of the grid is read and kept: work, not selection, is measured.
    config.min_tissue = 0;
    config.quality.max_white = config.quality.max_black = config.quality.max_pen = 1;
    return config;
  }

  void describe() {
    const auto slide = open_slide(listed_.file, {SlideReader::openslide, 1 << 20, false});
    std::map<std::string, Mpp> none;
    const auto mpp = find_mpp(*slide, none);
    validate(mpp.has_value(), listed_.file.string(),
             ": does not say its micrometres a pixel; bench another slide");
    mpp_ = mpp->x;
    const auto& level = slide->levels().front();
    report_.name = "tile";
    report_.args = {{"slide", bench_.slide.empty() ? "drawn" : bench_.slide.string()},
                    {"width", level.width},
                    {"height", level.height},
                    {"tile_px", bench_.tile_px},
                    {"seconds", seconds_}};
    report_.limits = {{"copy_GB/s", copy_rate(at_, seconds_) / 1e9}};
    report_.columns = {{"name", "way", ""},
                       {"tiles", "tiles", ""},
                       {"rate", "rate", "tiles/s"},
                       {"source", "source", "Mpx/s"},
                       {"of_bare", "of bare loop", ""},
                       {"bytes", "stored", "KB/tile"},
                       {"decode", "decode", "us/tile"},
                       {"resample", "resample", "us/tile"},
                       {"filter", "filter", "us/tile"},
                       {"encode", "encode", "us/tile"},
                       {"write", "write", "us/tile"},
                       {"plan", "plan", "us/tile"},
                       {"pictures", "pictures", "us/tile"},
                       {"calls", "calls", ""},
                       {"wrong", "#wrong", ""}};
    report_.notes = {
        "bare loop: openslide_read_region tile by tile into one buffer, one thread a rank, nothing "
        "else; its source counts the pixels read",
        "the other rows: three slides' whole way, from opening them to their published shards: "
        "mask, "
        "tiles, quality, HDF5 (to the disk), overview; decode to write are times of the threads, "
        "added up"};
  }

  // Tiles a second of all ranks.
  double bare_loop() {
    int64_t tiles = 0;
    const auto timing =
        measure(at_, seconds_,
                {[&] { tiles = bare_openslide_loop(listed_.file, bench_.tile_px); }, {}, {}});
    const double all = at_.world.all_reduce(static_cast<double>(tiles));
    const double rate = all / slowest(at_, timing);
    const double area = static_cast<double>(bench_.tile_px * bench_.tile_px);
    report_.rows.push_back({{"name", "bare OpenSlide loop"},
                            {"tiles", all},
                            {"rate", rate},
                            {"source", rate * area / 1e6},
                            {"of_bare", 1.0},
                            {"bytes", nullptr},
                            {"decode", 1e6 * slowest(at_, timing) / static_cast<double>(tiles)},
                            {"resample", nullptr},
                            {"filter", nullptr},
                            {"encode", nullptr},
                            {"write", nullptr},
                            {"plan", nullptr},
                            {"pictures", nullptr},
                            {"calls", timing.calls},
                            {"wrong", 0}});
    return rate;
  }

  bool opens_directly() {
    if (!no_direct_.empty()) return false;
    try {
      open_slide(listed_.file, {SlideReader::direct, 1 << 20, false});
    } catch (const Error& error) {
      no_direct_ = error.what();
    }
    return no_direct_.empty();
  }

  void add(const Variant& variant, double bare) {
    const TileConfig config = config_of(variant);
    const std::map<std::string, Mpp> none;
    const fs::path out = folder_.path() / "out";
    const TilingJob job{config, none, 0, std::nullopt, out, at_.stop, {}};
    nlohmann::json state, times;
    const auto clear = [&] {
      fs::remove_all(out);
      for (const char* sub : {"shards", "overview", "tissue", "slides"})
        fs::create_directories(out / sub);
    };
    const auto tile_all = [&] {
      std::optional<TiledSlide> before;
      for (int64_t i = 0; i < kSlides; ++i) {
        auto listed = listed_;
        listed.name += "-" + std::to_string(i);
        auto made = tile_slide(listed, job);
        validate(made.has_value(), "bench was stopped");
        if (before) before->publish();
        before = std::move(made);
      }
      before->publish();
      state = before->state();
      times = before->times();
    };
    const auto timing = measure(at_, seconds_, {tile_all, clear, {}});
    validate(state.at("status") == "done", state.value("reason", ""));
    const double tiles = state.at("tiles").get<double>();
    const double all = at_.world.all_reduce(kSlides * tiles), rate = all / slowest(at_, timing);
    const double side = static_cast<double>(bench_.tile_px) * variant.mpp_factor;
    nlohmann::ordered_json row{
        {"name", variant.name},   {"tiles", all},
        {"rate", rate},           {"source", rate * side * side / 1e6},
        {"of_bare", rate / bare}, {"bytes", state.at("shard_bytes").get<double>() / tiles / 1e3}};
    for (const auto& [kind, spent] : times.at("seconds").items())
      row[kind] = 1e6 * spent.get<double>() / tiles;
    row["calls"] = timing.calls;
    row["wrong"] = total(at_, wrong_tiles(variant, out / "shards" / "slide-0.h5"));
    report_.rows.push_back(row);
  }

  // Tiles at the slide's own scale against OpenSlide's reading; resampled ones against the mean of
  // what they show.
  int64_t wrong_tiles(const Variant& variant, const fs::path& shard) const {
    const ImageSet images(shard);
    const auto slide = open_slide(listed_.file, {SlideReader::openslide, 1 << 20, false});
    const int64_t px = bench_.tile_px;
    const int64_t side = std::llround(static_cast<double>(px) * variant.mpp_factor);
    int64_t wrong = 0;
    const int64_t step = std::max<int64_t>(1, images.size() / 64);
    for (int64_t i = 0; i < images.size(); i += step) {
      const auto& record = images.record(i);
      auto rgb = torch::empty({side, side, 3}, torch::kUInt8);
      slide->read(0, std::llround(record.x), std::llround(record.y), side, side,
                  rgb.data_ptr<uint8_t>(), 3 * side);
      const auto truth = rgb.permute({2, 0, 1}), tile = images.read({i})[0];
      const bool whole = variant.mpp_factor == 1 && record.x == std::floor(record.x) &&
                         record.y == std::floor(record.y);
      if (whole)
        wrong += !torch::equal(truth, tile);
      else
        wrong += (truth.to(torch::kFloat64).mean() - tile.to(torch::kFloat64).mean())
                     .abs()
                     .item<double>() > 1;
    }
    return wrong;
  }

  const TileBench& bench_;
  const Launch at_;
  const double seconds_;
  const ScratchFolder folder_;
  ListedSlide listed_;
  double mpp_ = kMpp;
  std::string no_direct_;
  BenchReport report_;
};

}  // namespace

BenchReport bench_tile(const TileBench& bench, const Launch& at, double seconds) {
  return TileBenchmark(bench, at, seconds).run();
}

}  // namespace stylescope
