#pragma once

#include "stages/ingest/image_plan.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <cstdint>

// A table of pictures (stages/ingest/table_rows.hpp) as a data set of ingest, with the labels of
// its own column or of a table of readings (stages/ingest/readings.hpp).
namespace stylescope {

// Splits are the column's (mode table), or dealt by subject. A film that gives two images is
// decoded once where these are in neighbouring rows. Throws Error with file and line where
// list_table, AttributeColumns or join_readings do, for a label that is not in class_names, a class
// without images, and a subject in two splits.
ImagePlan plan_table(const IngestConfig& config, uint64_t seed);

}  // namespace stylescope
