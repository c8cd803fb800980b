#pragma once

#include "stages/ingest/ingest_config.hpp"
#include "stages/run_context.hpp"

#include <string>

#include <nlohmann/json.hpp>

// Pictures, or drawn knees, to images.h5: decoded, resized by area averaging, split by subject.
namespace stylescope {

// Writes images.h5, bad_files.csv (path, reason), contact_sheet.png (rows: classes; training images
// only), audit.csv and audit.png (stages/audit: images of different splits that are nearly the
// same, which may stop the stage or be left out) into context.out_dir, and with a table of readings
// readings.csv (stages/ingest/readings.hpp). Where pseudonyms stand for subjects and paths,
// subject_map.csv and, without config.id_key_file, subject.key lie in context.run_dir, for the user
// alone. Root alone works, the other ranks sleep. A picture that cannot be read is listed and left
// out; more of them than max_bad_fraction fail the stage, after the list was written. images.h5
// does not depend on
// config.threads. Collective; every rank gets the metrics: images, subjects and labels of each
// split, bad files, rate.
nlohmann::json run_ingest(const IngestConfig& config, RunContext& context);

// SHA-256 over path, size and time of change of every picture that would be read ("phantom" for
// drawn ones): the stage is up to date when it is the same. Throws Error when the folder is not as
// it must be. Not collective.
std::string ingest_fingerprint(const IngestConfig& config);

}  // namespace stylescope
