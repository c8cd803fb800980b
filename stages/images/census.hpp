#pragma once

#include "io/image_set.hpp"

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// Counts what goes into images.h5.
class Census {
 public:
  explicit Census(std::vector<std::string> label_names);
  void add(const ImageRecord& record);
  int64_t images() const { return images_; }
  int64_t images(Split split, int64_t label) const;
  // images, <split>_images, <split>_images_<label>, <split>_subjects.
  nlohmann::json metrics() const;
  // Throws Error when a split has no images or a class no training image, naming the keys (section
  // "ingest" or "tile") to change; warns of a class that is not in val or test.
  void check(const std::string& section) const;

 private:
  std::vector<std::string> label_names_;
  std::array<std::vector<int64_t>, 3> labels_;
  std::array<std::set<std::string>, 3> subjects_;
  int64_t images_ = 0;
};

}  // namespace stylescope
