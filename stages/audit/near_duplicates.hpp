#pragma once

#include "io/image_set.hpp"
#include "stages/audit/audit_config.hpp"
#include "stages/audit/image_print.hpp"

#include <cstdint>
#include <functional>
#include <vector>

#include <torch/torch.h>

// Images of different splits that are nearly the same.
namespace stylescope {

struct NearPair {
  int64_t a = 0, b = 0;    // rows; a of the earlier split (train, val, test)
  int distance = 0;        // bits in which their hashes differ
  double correlation = 0;  // of the thumbs, less the mean image's low frequencies; -1..1
  Orientation turned;      // of b, to look like a
};

struct NearDuplicates {
  std::vector<NearPair> pairs;    // the most alike first
  std::vector<NearPair> closest;  // the next ones, too few alike to count: at most 24, for the eye
  int64_t compared = 0;           // images
  int64_t even = 0;               // left aside: nothing is on them
  bool cut = false;               // a million pairs are nearly the same: there are more
};

// (n, C, H, W) uint8 of these rows.
using PixelReader = std::function<torch::Tensor(at::ArrayRef<int64_t> rows)>;

// prints and splits: of every row. Pairs of one split are not looked at. The pixels of pairs whose
// hashes are near are read, and no others.
NearDuplicates find_near_duplicates(const std::vector<ImagePrint>& prints,
                                    const std::vector<Split>& splits, const PixelReader& read,
                                    const AuditConfig& config);

}  // namespace stylescope
