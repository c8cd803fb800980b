#pragma once

#include "pipeline/config.hpp"
#include "pipeline/network_costs.hpp"
#include "pipeline/run_directory.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the stages of a run have to do, counted from the configuration and from what is known of the
// images before they are made.
namespace stylescope {

// A number, and how it came about; without a value: not known yet, and why.
struct Count {
  std::optional<double> value;
  bool at_most = false;
  std::string how;  // "1.28 kimg in steps of 16", "unknown until images.h5 is there"
};

struct KnownImages {
  Count all, train, val, test;
  Count slides;  // of tile
};
// From the images stage's record where it is not `planned` to run, else from its list of pictures
// or slides. What cannot be read is unknown.
KnownImages known_images(const Config& config, const RunDirectory& directory, bool planned);

struct PassCount {
  Pass pass;
  Count images;
};
struct StageWork {
  std::string stage;
  Count amount;
  std::string unit;               // "images"
  std::vector<PassCount> passes;  // that it consists of
  std::vector<PassCount> beside;  // validation and the like: what a measured rate has in it already
  int64_t batch = 0;              // of a training step; 0: no training
  // Parts that are dealt whole to ranks: of a training step, or of it all; 0: the root alone works.
  int64_t pieces = 0;
  bool goes_on = false;    // an interrupted one goes on where it was
  std::string remark;      // "may end earlier: ..."
  std::string of_root;     // a part that is in no pass, and that the root does alone: "the fit"
  std::string in_no_pass;  // and what the ranks share: "the search for targets"
};
StageWork stage_work(const Config& config, const std::string& stage, const KnownImages& images);

// "1,280" or, with a fraction, "1.28"; three digits at least.
std::string number_words(double value);
std::string amount_words(double value, const std::string& unit);  // "12 slides", "1 slide"
std::string bytes_words(double bytes);                            // "12.3 MB", powers of ten

}  // namespace stylescope
