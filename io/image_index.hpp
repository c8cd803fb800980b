#pragma once

#include "io/hdf5_file.hpp"
#include "io/image_pixels.hpp"
#include "io/image_set.hpp"

#include <functional>

// Several image sets (shards, one a slide) as one: images.h5 with a virtual data set /images over
// those of the shards, the records of all of them, and
//   /shards/file (S) strings: names relative to the index's folder   /shards/id (S) strings
//   /shards/rows (S) int64, /shards/bytes (S) int64: what each shard has
// HDF5 itself gives zeros for a shard that is gone: ImageSet compares all of these first.
namespace stylescope {

// shards: names relative to file's folder ("shards/tumor_001.h5"), finished ImageSet files of the
// same image shape, label names and attributes; their order is the images'. Published by rename.
// Throws Error when a shard cannot be read or differs, a subject stands in two splits, or no shard
// has an image. `amend` may change a record before it goes into the index (a split that was dealt
// anew), not in the shard.
void write_image_index(const std::filesystem::path& file,
                       const std::vector<std::string>& label_names, const std::string& source_json,
                       const std::vector<std::string>& shards,
                       const std::function<void(ImageRecord&)>& amend = {});

// For ImageSet: what an index says of its shards.
struct ImageShard {
  std::string file, id;
  int64_t rows = 0, bytes = 0;
};
// Empty when the file has no shards.
std::vector<ImageShard> read_shards(const hdf5::File& index, const std::string& path);
// Checks each shard and adds its images to `pixels`. Throws Error naming the shard.
void open_shards(const std::filesystem::path& folder, const std::vector<ImageShard>& shards,
                 const std::vector<int64_t>& image_shape, ImagePixels& pixels);

}  // namespace stylescope
