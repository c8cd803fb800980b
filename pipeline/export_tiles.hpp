#pragma once

#include "distributed/communicator.hpp"
#include "pipeline/export_source.hpp"

#include <string>

namespace stylescope {

// Tiles for other programs. form: "png" writes pictures,
// <out>/<split>/<class>/<slide>_x<x>_y<y>.png, a folder that ingest reads (split.mode: folders);
// "clam" and "trident" write where they lie, one coordinate file a slide. Collective. Throws Error.
void export_tiles(const ExportSource& source, const std::string& form, Communicator& world);

}  // namespace stylescope
