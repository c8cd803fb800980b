#pragma once

#include "distributed/communicator.hpp"
#include "pipeline/export_source.hpp"

#include <string>

namespace stylescope {

// The images as a data set of another program, which ingest reads too, bit by bit: form
// "stylegan2" (io/stylegan_set.hpp: a zip where source.out ends in .zip, else a folder) or "pcam"
// (io/pcam_file.hpp). The root works. Collective. Throws Error.
void export_images(const ExportSource& source, const std::string& form, Communicator& world);

}  // namespace stylescope
