#pragma once

#include "stages/run_context.hpp"
#include "stages/tile/tile_config.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

// Whole-slide images to images.h5: tissue found, tiles of an exact physical size cut, labelled by
// outlines, filtered by their own pixels, split by subject.
namespace stylescope {

// Every rank takes slides from one queue, the largest first, and works on one at a time with all
// its threads; a slide's shard appears when it is whole, and one that is there is not made again.
// Writes
//   images.h5             the same layout as ingest's (io/image_set.hpp), a virtual data set over
//   shards/<slide>.h5     one a slide, with the table of all places of its grid
//   overview/<slide>.png, tissue/<slide>.geojson, slides/<slide>.json and .prints.safetensors
//   bad_files.csv, slides.csv, contact_sheet.png, audit.csv and audit.png (stages/audit)
// Slides that give no tile are listed and left out; more of them than max_bad_fraction fail the
// stage, after the lists were written. Images do not depend on ranks or threads. Collective; every
// rank gets the metrics.
//
// A task (RunContext::task) makes the slides i of that list with i % tasks == task, beside other
// tasks, and nothing that is of all slides: its metrics are empty. A run without a task over the
// same folder makes what is left, and the rest of the files; they are the same as without tasks.
nlohmann::json run_tile(const TileConfig& config, RunContext& context);

// The tile whose middle lies at (x, y), level 0 pixels, as the stage would make it: (3, tile_px,
// tile_px) uint8. The stain is fitted on this slide, as for its tiles. Throws Error when that lies
// outside of the slide.
torch::Tensor read_place(const TileConfig& config, uint64_t seed,
                         const std::filesystem::path& slide, double x, double y);

}  // namespace stylescope
