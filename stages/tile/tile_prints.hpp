#pragma once

#include "io/image_set.hpp"
#include "stages/audit/image_print.hpp"
#include "stages/tile/tile_config.hpp"

#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

// What the audit needs of every tile, made while its pixels are in memory, a file a slide.
namespace stylescope {

// slides/<slide>.prints.safetensors: low (n, 64) and contrast (n) float32, in the shard's order.
void write_prints(const std::filesystem::path& file, const std::vector<ImagePrint>& prints);

// Compares tiles of different splits (stages/audit/image_audit.hpp). Of slides without such a file,
// made by an earlier version or with the audit off, the tiles are read again. Gives the audit's
// metrics; throws Error where near-duplicates stop the run.
nlohmann::json audit_tiles(const TileConfig& config, const ImageSet& images,
                           const std::filesystem::path& out_dir);

}  // namespace stylescope
