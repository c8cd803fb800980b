#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"
#include "io/coords_file.hpp"
#include "io/image_set.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "pipeline/command.hpp"
#include "stages/artifacts.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// Tiles for other programs: pictures, or where they lie.
class ExportTiles {
 public:
  std::string source, out, form = "png", split;

  void prepare() const {
    if (!fs::exists(images_file()))
      throw UsageError(source + ": is neither an images.h5 nor a run directory with one");
    if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out)))
      throw UsageError(out + ": is there already; choose another --out");
  }

  void run(Communicator& world) const {
    const ImageSet images(images_file());
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < images.size(); ++i)
      if (split.empty() || to_string(images.record(i).split) == split) rows.push_back(i);
    validate(!rows.empty(), images_file().string(), ": has no images in split '", split, "'");
    if (form == "png")
      write_pictures(images, rows, world);
    else
      on_root(world, [&] { write_coordinates(images, rows); });
    world.barrier();
    if (world.is_root()) log::info("exported {} tiles: {}", rows.size(), out);
  }

 private:
  fs::path images_file() const {
    if (!fs::is_directory(source)) return source;
    for (const char* file : {artifacts::tiles, artifacts::images})
      if (fs::exists(fs::path(source) / file)) return fs::path(source) / file;
    return fs::path(source) / artifacts::tiles;
  }

  // <out>/<split>/<class>/<slide>_x<x>_y<y>.png: a folder that ingest reads (split.mode: folders).
  void write_pictures(const ImageSet& images, const std::vector<int64_t>& rows,
                      Communicator& world) const {
    const auto mine = share_of(static_cast<int64_t>(rows.size()), world.rank(), world.size());
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t row = rows[static_cast<size_t>(i)];
      const auto& record = images.record(row);
      const fs::path folder = fs::path(out) / to_string(record.split) /
                              images.label_names()[static_cast<size_t>(record.label)];
      make(folder);
      write_png(folder / (name_of(record, row) + ".png"), images.read({row})[0]);
    }
  }

  static std::string name_of(const ImageRecord& record, int64_t row) {
    if (record.slide.empty() || std::isnan(record.x)) return "image-" + std::to_string(row);
    return record.slide + "_x" + std::to_string(std::llround(record.x)) + "_y" +
           std::to_string(std::llround(record.y));
  }

  void write_coordinates(const ImageSet& images, const std::vector<int64_t>& rows) const {
    std::map<std::string, std::vector<int64_t>> by_slide;
    for (const int64_t row : rows) {
      const auto& record = images.record(row);
      validate(!record.slide.empty() && record.attributes.contains("side_x"),
               images_file().string(), ": image ", row, " (", record.path,
               ") is no tile of a slide; only --as png takes it");
      by_slide[record.slide].push_back(row);
    }
    make(out);
    const bool whole = std::all_of(rows.begin(), rows.end(), [&](int64_t row) {
      const auto& record = images.record(row);
      return record.x == std::floor(record.x) && record.y == std::floor(record.y);
    });
    if (!whole) log::warn("tiles lie between pixels, and {} knows whole ones: rounded", form);
    for (const auto& [slide, tiles] : by_slide) write_slide(images, slide, tiles);
  }

  void write_slide(const ImageSet& images, const std::string& slide,
                   const std::vector<int64_t>& rows) const {
    const ImageSet shard(images_file().parent_path() / "shards" / (slide + ".h5"));
    const auto source = nlohmann::json::parse(shard.source_json());
    TileCoords coords;
    coords.layout = form;
    coords.name = slide;
    coords.width0 = source.at("side_x").get<double>();
    coords.height0 = source.at("side_y").get<double>();
    coords.level0 = torch::empty({static_cast<int64_t>(rows.size()), 2}, torch::kInt64);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto& record = images.record(rows[i]);
      coords.level0[static_cast<int64_t>(i)][0] = static_cast<int64_t>(std::llround(record.x));
      coords.level0[static_cast<int64_t>(i)][1] = static_cast<int64_t>(std::llround(record.y));
    }
    const double width = source.at("width").get<double>(),
                 height = source.at("height").get<double>();
    const double down = source.at("stored_downsample").get<double>();
    if (form == "clam") {
      // CLAM reads whole pixels of a level, and no other scale.
      coords.tile_px = std::llround(coords.width0 / down);
      if (std::abs(coords.width0 / down - static_cast<double>(coords.tile_px)) > 1e-6)
        log::warn("{}: its tiles are {:.3f} pixels of level {} wide, and CLAM knows whole ones: {}",
                  slide, coords.width0 / down, source.at("stored_level").get<int64_t>(),
                  coords.tile_px);
      coords.level = source.at("stored_level").get<int64_t>();
      coords.downsample = {down, down};
      coords.level_size = {std::llround(width / down), std::llround(height / down)};
    } else {
      // TRIDENT counts magnification as 10 / mpp.
      coords.tile_px = source.at("tile_px").get<int64_t>();
      coords.level0_magnification = 10 / source.at("mpp_x").get<double>();
      coords.target_magnification = 10 / source.at("tile_mpp_x").get<double>();
      coords.overlap = std::max(0.0, 1 - source.at("stride").get<double>()) *
                       static_cast<double>(coords.tile_px);
      coords.level0_size = {std::llround(width), std::llround(height)};
    }
    write_coords(fs::path(out) / (slide + (form == "trident" ? "_patches.h5" : ".h5")), coords,
                 out);
  }

  void make(const fs::path& folder) const {
    std::error_code failure;
    fs::create_directories(folder, failure);
    validate(!failure, folder.string(), ": cannot be made (", failure.message(),
             "); choose another --out");
  }
};

}  // namespace

Task add_export(CLI::App& app) {
  auto tiles = std::make_shared<ExportTiles>();
  app.require_subcommand(1);
  CLI::App* sub = app.add_subcommand("tiles", "the images of a run for other programs");
  sub->add_option("RUN_DIR", tiles->source, "a run directory, or an images.h5")->required();
  sub->add_option("--as", tiles->form,
                  "png: pictures in folders by split and class; clam, trident: one coordinate file "
                  "a slide")
      ->check(CLI::IsMember({"png", "clam", "trident"}))
      ->capture_default_str();
  sub->add_option("--split", tiles->split, "only these")
      ->check(CLI::IsMember({"train", "val", "test"}));
  sub->add_option("--out", tiles->out, "the folder to make")->required();
  return {[tiles] { tiles->prepare(); }, [tiles](Communicator& world) { tiles->run(world); }};
}

}  // namespace stylescope
