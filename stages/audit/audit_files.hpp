#pragma once

#include "io/image_set.hpp"
#include "stages/audit/near_duplicates.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

// What the audit leaves behind for the eye.
namespace stylescope {

// "train/a.png", or "slide.svs at 512,1024" of a tile (its top left corner).
std::string place_of(const ImageRecord& record);

// "0.9731".
std::string correlation_text(const NearPair& pair);

// audit.csv: one line a pair, near-duplicates first, then the closest others: near_duplicate (yes,
// no), of both images place, subject, split and label, distance, correlation, turned (how b lies
// to look like a), left_out (which place, or nothing).
void write_audit_csv(const std::filesystem::path& file, const NearDuplicates& found,
                     const std::vector<ImageRecord>& records,
                     const std::vector<std::string>& label_names,
                     const std::set<int64_t>& left_out);

// audit.png: the first 24 pairs of that list side by side, four pairs a row. No file where there
// are none.
void write_audit_picture(const std::filesystem::path& file, const NearDuplicates& found,
                         const PixelReader& read);

}  // namespace stylescope
