#include "pipeline/export_tiles.hpp"

#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"
#include "io/coords_file.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

class TileExport {
 public:
  TileExport(const ExportSource& source, const std::string& form) : source_(source), form_(form) {}

  void write_pictures(const ImageSet& images, const std::vector<int64_t>& rows,
                      Communicator& world) const {
    const auto mine = share_of(static_cast<int64_t>(rows.size()), world.rank(), world.size());
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t row = rows[static_cast<size_t>(i)];
      const auto& record = images.record(row);
      const fs::path folder = fs::path(source_.out) / to_string(record.split) /
                              images.label_names()[static_cast<size_t>(record.label)];
      make_export_folder(folder);
      write_png(folder / (name_of(record, row) + ".png"), images.read({row})[0]);
    }
  }

  void write_coordinates(const ImageSet& images, const std::vector<int64_t>& rows) const {
    std::map<std::string, std::vector<int64_t>> by_slide;
    for (const int64_t row : rows) {
      const auto& record = images.record(row);
      validate(!record.slide.empty() && record.attributes.contains("side_x"),
               source_.images_file().string(), ": image ", row, " (", record.path,
               ") is no tile of a slide; only --as png takes it");
      by_slide[record.slide].push_back(row);
    }
    make_export_folder(source_.out);
    const bool whole = std::all_of(rows.begin(), rows.end(), [&](int64_t row) {
      const auto& record = images.record(row);
      return record.x == std::floor(record.x) && record.y == std::floor(record.y);
    });
    if (!whole) log::warn("tiles lie between pixels, and {} knows whole ones: rounded", form_);
    for (const auto& [slide, tiles] : by_slide) write_slide(images, slide, tiles);
  }

 private:
  static std::string name_of(const ImageRecord& record, int64_t row) {
    if (record.slide.empty() || std::isnan(record.x)) return "image-" + std::to_string(row);
    return record.slide + "_x" + std::to_string(std::llround(record.x)) + "_y" +
           std::to_string(std::llround(record.y));
  }

  void write_slide(const ImageSet& images, const std::string& slide,
                   const std::vector<int64_t>& rows) const {
    const ImageSet shard(source_.images_file().parent_path() / "shards" / (slide + ".h5"));
    const auto source = nlohmann::json::parse(shard.source_json());
    TileCoords coords;
    coords.layout = form_;
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
    if (form_ == "clam") {
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
    write_coords(fs::path(source_.out) / (slide + (form_ == "trident" ? "_patches.h5" : ".h5")),
                 coords, source_.out);
  }

  const ExportSource& source_;
  const std::string& form_;
};

}  // namespace

void export_tiles(const ExportSource& source, const std::string& form, Communicator& world) {
  const ImageSet images(source.images_file());
  const auto rows = source.rows(images);
  const TileExport tiles(source, form);
  if (form == "png")
    tiles.write_pictures(images, rows, world);
  else
    on_root(world, [&] { tiles.write_coordinates(images, rows); });
  world.barrier();
  if (world.is_root()) log::info("exported {} tiles: {}", rows.size(), source.out);
}

}  // namespace stylescope
