#pragma once

#include "stages/ingest/image_plan.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <string>

// PatchCamelyon's own HDF5 files (io/pcam_file.hpp) as a data set of ingest, in their own splits.
namespace stylescope {

// The subject of an image is its slide, where the csv files are there; else every image counts as
// its own, and a warning says so. load may be called from one thread only.
ImagePlan plan_pcam(const IngestConfig& config);

// SHA-256 over path, size and time of change of the files.
std::string pcam_fingerprint(const IngestConfig& config);

}  // namespace stylescope
