#pragma once

#include "io/image_set.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/ingest/ingest_config.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <torch/torch.h>

// What ingest will do, settled before any picture is opened: which images, of whom, in which split.
namespace stylescope {

struct ImagePlan {
  std::vector<std::string> label_names;
  std::vector<ImageRecord> records;  // in the order of images.h5
  // The pixels of a record, (C, resolution, resolution) uint8; from any thread. Throws Error for a
  // bad picture.
  std::function<torch::Tensor(int64_t)> load;
  std::vector<BadFile> bad;  // found bad by their names alone
  int64_t listed = 0;        // pictures looked at, bad ones included
};

// Throws Error when the folder is not as it must be, when a subject lies in two split folders
// (naming both pictures), or when a split would be empty or a class have no training image.
ImagePlan plan_images(const IngestConfig& config, uint64_t seed);

}  // namespace stylescope
