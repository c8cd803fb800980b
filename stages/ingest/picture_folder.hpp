#pragma once

#include "io/image_set.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// A folder of pictures as it lies on disk, before any of them is opened.
namespace stylescope {

struct ListedPicture {
  std::string path;             // below the folder, with '/'
  int64_t label = 0;            // index into PictureFolder::label_names
  std::optional<Split> folder;  // the split folder that it lies in, in mode folders
  std::string subject;          // empty: the file name does not match subject_regex
};

struct PictureFolder {
  std::vector<std::string> label_names;
  std::vector<ListedPicture> pictures;  // sorted by path
};

// Throws Error when the folder, a split folder or the pictures of a class are missing, when there
// is only one class, or when a label folder is not in class_names. Files with other endings and
// hidden files are passed over; DICOM is found without an ending too.
PictureFolder list_pictures(const IngestConfig& config);

// SHA-256 over path, size and time of change of every picture; "phantom" for drawn ones. Same
// errors as list_pictures.
std::string ingest_fingerprint(const IngestConfig& config);

}  // namespace stylescope
