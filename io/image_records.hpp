#pragma once

#include "io/hdf5_file.hpp"
#include "io/image_set.hpp"
#include "io/sha256.hpp"

#include <map>
#include <string>
#include <vector>

// The parts of images.h5 that are no pixels, for image_set.cpp and image_index.cpp.
namespace stylescope {

namespace images_format {
inline constexpr const char* name = "stylescope.images";
inline constexpr int64_t version = 2;
inline constexpr const char* run_again = "run the ingest stage again (tile, for slides)";
inline constexpr const char* check_disk = "check the disk's space and permissions";
}  // namespace images_format

// Rule 3 of the design: an image of a subject whom f or G was trained on is no test image. Throws
// Error.
void check_subjects(const std::string& file, const std::vector<ImageRecord>& records);

void write_records(hdf5::File& file, const std::vector<ImageRecord>& records,
                   const std::vector<std::string>& label_names);
// Throws Error when a column is missing, has another length than `count`, or holds what it cannot.
std::vector<ImageRecord> read_records(const hdf5::File& file, const std::string& path,
                                      int64_t count, const std::vector<std::string>& label_names);

// /attribute_names: the texts that attributes' numbers stand for, by attribute.
using ValueNames = std::map<std::string, std::vector<std::string>>;
void write_value_names(hdf5::File& file, const ValueNames& names);
ValueNames read_value_names(const hdf5::File& file);

// Adds a record to a hash of them.
void hash_record(Sha256& hash, const ImageRecord& record);

// The names that `a` and `b` give their attributes are the same?
bool same_attributes(const ImageRecord& a, const ImageRecord& b);

}  // namespace stylescope
