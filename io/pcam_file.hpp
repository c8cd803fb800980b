#pragma once

#include "io/image_set.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// PatchCamelyon as its authors give it out (Veeling et al. 2018; github.com/basveeling/pcam), a
// split a set of files:
//   camelyonpatch_level_2_split_<split>_x.h5     data set x (N, 96, 96, 3) uint8; squares of
//   another
//                                                side are read too (write_pcam_set() makes them)
//   camelyonpatch_level_2_split_<split>_y.h5     data set y (N, 1, 1, 1): 1 when the centre 32 x 32
//                                                pixels hold tumour
//   camelyonpatch_level_2_split_<split>_meta.csv coord_x, coord_y, wsi and more; may be absent
namespace stylescope {

struct PcamRecord {
  int64_t label = 0;     // 0 or 1
  std::string slide;     // "camelyon16_train_tumor_001"; empty without the csv
  int64_t x = 0, y = 0;  // as the csv has them; 0 without it
};

class PcamFile {
 public:
  // split: "train", "valid" or "test". Throws Error naming the file that is missing (or still
  // packed: .gz), of another shape, or of another length than x.
  PcamFile(const std::filesystem::path& folder, const std::string& split);
  ~PcamFile();
  PcamFile(PcamFile&&) noexcept;
  PcamFile& operator=(PcamFile&&) noexcept;

  int64_t size() const;
  bool has_slides() const;  // is the csv there?
  const PcamRecord& record(int64_t index) const;
  // (3, side, side) uint8, contiguous, CPU. A block of 256 images around it stays in memory (7 MB
  // at a side of 96), so that going through the file in order unpacks every chunk once. Not from
  // two threads at once.
  torch::Tensor image(int64_t index);
  // (count, 3, side, side) likewise, without keeping them.
  torch::Tensor images(int64_t first, int64_t count) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The rows of `images` as such files in `folder` (made here), each split into its own, in their
// order; val is called valid. The csv (without the column tumor_patch, which nobody knows) where
// every image of the split has a slide and a place on it, rounded to whole pixels. Throws Error,
// naming `images_file`: the images are not in colour, no squares, or of more or fewer than two
// classes.
void write_pcam_set(const std::filesystem::path& folder, const ImageSet& images,
                    const std::string& images_file, const std::vector<int64_t>& rows);

}  // namespace stylescope
