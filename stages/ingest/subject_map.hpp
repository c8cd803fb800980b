#pragma once

#include "io/subject_key.hpp"
#include "stages/ingest/image_plan.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// Whose pseudonym is whose.
namespace stylescope {

// The records as they are written: subjects by their pseudonyms, paths as "<pseudonym>/<n>", the
// n-th image of the subject. Throws Error when two subjects get the same pseudonym.
std::vector<ImageRecord> with_pseudonyms(const std::vector<ImageRecord>& records,
                                         const SubjectKey& key);

// CSV for the user alone (mode 0600): image (row of images.h5; empty: left out), written_as, path,
// subject, pseudonym; a line a record. rows: of each record, -1 without one.
void write_subject_map(const std::filesystem::path& file, const ImagePlan& plan,
                       const std::vector<ImageRecord>& written, const std::vector<int64_t>& rows);

}  // namespace stylescope
