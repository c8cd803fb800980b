#pragma once

#include "io/image_set.hpp"
#include "io/picture.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/ingest/ingest_config.hpp"
#include "stages/ingest/readings.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// What ingest will do, settled before any picture is opened: which images, of whom, in which split.
namespace stylescope {

// Where a record comes from, where its path alone does not say.
struct ImageSource {
  std::string path;     // of the picture, as its table or data set has it
  std::string file;     // by which errors about it begin
  std::string told_as;  // by which bad_files.csv tells it: "films.csv:7"
};

struct ImagePlan {
  std::vector<std::string> label_names;
  std::vector<ImageRecord> records;  // in the order of images.h5
  // The pixels of a record, (C, resolution, resolution) uint8; from any thread. Throws Error for a
  // bad picture.
  std::function<torch::Tensor(int64_t)> load;
  std::vector<BadFile> bad;               // found bad by their names alone
  int64_t listed = 0;                     // pictures looked at, bad ones included
  std::vector<ImageSource> sources = {};  // of each record; empty: paths will do
  // The texts that attributes' numbers stand for.
  std::map<std::string, std::vector<std::string>> value_names = {};
  std::vector<ReadingNote> readings = {};      // for readings.csv
  std::map<std::string, int64_t> counts = {};  // for the metrics
  // What `load` saw of 16-bit pictures; empty where it reads none.
  std::shared_ptr<PictureTally> tally = {};
};

// Subjects and paths are as they were found: pseudonyms come later (stages/ingest/subject_map.hpp),
// so that no split depends on them. Throws Error when the folder is not as it must be, when a
// subject lies in two split folders (naming both pictures), or when a split would be empty or a
// class have no training image.
ImagePlan plan_images(const IngestConfig& config, uint64_t seed);

}  // namespace stylescope
