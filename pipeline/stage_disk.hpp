#pragma once

#include "pipeline/stage_work.hpp"

#include <string>
#include <vector>

// The bytes that a stage leaves on disk, and those that it needs for a while.
namespace stylescope {

struct DiskItem {
  std::string what;
  Count bytes;
  bool passing = false;  // only while the stage is at work
};

// Without what is small: logs, pictures for the eye, pages. `image_bytes`: what an image of a
// compressed images.h5 was measured to take; 0: not known.
std::vector<DiskItem> stage_disk(const Config& config, const std::string& stage,
                                 const KnownImages& images, const NetworkSizes& sizes,
                                 double image_bytes = 0);

}  // namespace stylescope
