#pragma once

#include "io/image_set.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

// Who trains, validates and tests. Pure functions of the list and the seed.
namespace stylescope {

struct SubjectImage {
  std::string subject;
  int64_t label = 0;
};

// Shares of train, val and test; they sum to 1.
using SplitShares = std::array<double, 3>;

// One split an image, all images of a subject in the same. Subjects with the same labels (a subject
// may have several) form a stratum; within it they are shuffled, keyed by `seed` and not by their
// order in the list, and dealt so that the count of every split stays within one of its share, over
// all subjects and over every stratum within two.
std::vector<Split> split_by_subject(const std::vector<SubjectImage>& images,
                                    const SplitShares& shares, uint64_t seed);

// First group of `pattern` in `file_name` (or all of the match); without a pattern the stem. Empty:
// no match.
std::string subject_of(const std::string& file_name, const std::string& pattern);

}  // namespace stylescope
