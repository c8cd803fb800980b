#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// What a picture's file itself says of whom it shows: DICOM's header; others say nothing.
namespace stylescope {

struct PictureFacts {
  std::string patient;     // PatientID; "": not said
  std::string laterality;  // "L", "R" or ""
};

// Of each file, read by `threads` threads (0: one a core). A file that cannot be read says nothing:
// its pixels will tell why.
std::vector<PictureFacts> picture_facts(const std::vector<std::filesystem::path>& files,
                                        int64_t threads);

}  // namespace stylescope
