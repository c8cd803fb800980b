#pragma once

#include "io/csv.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/ingest/ingest_config.hpp"
#include "stages/ingest/knee_side.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// A table of pictures, row by row, before any of them is opened.
namespace stylescope {

// One image to be made: a row's picture, or one knee of it.
struct TableImage {
  size_t row = 0;              // of the table
  std::filesystem::path file;  // that is read
  std::string path;            // as the table has it
  std::string told_as;         // "films.csv:7", or the path where ids are kept
  std::string subject;
  std::optional<Side> side;
  std::optional<int64_t> visit;  // months
  std::optional<KneeBox> box;
};

struct TableImages {
  CsvTable table;
  std::vector<TableImage> images;  // in the order of the rows; of a film with both knees R, then L
  std::vector<BadFile> bad;        // a file that is not there, no subject, no side, no box
};

// The subject is the column's; else what subject_regex finds in the file name; else DICOM's
// PatientID; else, where there is no column 'subject', the file name without its ending. The side
// is the column's, what knees.side_regex finds, or DICOM's. Throws Error with file and line when
// the table is not as it must be: see the README.
TableImages list_table(const IngestConfig& config);

// SHA-256 over the content of the tables, and path, size and time of change of every picture.
// Throws Error where a table is not there; one that is damaged has a fingerprint, too.
std::string table_fingerprint(const IngestConfig& config);

}  // namespace stylescope
