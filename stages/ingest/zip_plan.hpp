#pragma once

#include "stages/ingest/image_plan.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <cstdint>
#include <string>

// A StyleGAN2-ADA data set (io/stylegan_set.hpp), zip or folder, as a data set of ingest.
namespace stylescope {

// The subject of an image: what ingest.subject_regex finds in its name; without one, what
// stylescope wrote into dataset.json; else the image is its own, and a warning says so. Splits:
// random by subject, or (split.mode folders) as stylescope wrote them. Throws Error: see
// StyleganSet, and when a class has no picture, there is only one class, or class_names has too few
// names.
ImagePlan plan_zip(const IngestConfig& config, uint64_t seed);

// SHA-256 over path, size and time of change of the archive, or of every picture and dataset.json.
std::string zip_fingerprint(const IngestConfig& config);

}  // namespace stylescope
