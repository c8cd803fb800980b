#include "stages/ingest/ingest_config.hpp"

#include "stages/images/config_checks.hpp"

#include <bit>
#include <cmath>
#include <regex>
#include <set>

namespace stylescope {

void PhantomConfig::describe(Fields& f) {
  f.field("subjects", subjects, {6, 10'000'000},
          "subjects drawn, half of them with a narrow joint");
  f.field("images_per_subject", images_per_subject, {1, 1000}, "visits of each subject");
  f.field(
      "nuisance_correlation", nuisance_correlation, {-1, 1},
      "correlation of the marker's brightness with the joint width, in the training split only");
}

void SplitConfig::describe(Fields& f) {
  f.choice("mode", mode, {"random", "folders"},
           "random: by subject, stratified by label; folders: path/{train,val,test}/<label>/ "
           "(val may be called valid or validation)");
  f.field("train", train, {0, 1}, "share of the subjects that train (mode random)");
  f.field("val", val, {0, 1}, "share that validates (mode random)");
  f.field("test", test, {0, 1}, "share that only evaluate and explain see (mode random)");
  f.field("halve_val", halve_val,
          "mode folders without a test folder: half of val's subjects become the test split");
}

void IngestConfig::describe(Fields& f) {
  f.choice("source", source, {"phantom", "folder", "pcam"},
           "drawn knees, a folder of pictures, or PatchCamelyon's own HDF5 files");
  f.field("path", path,
          "the folder of pictures: path/<label>/*.png|jpg|jpeg|tif|tiff; of PatchCamelyon's files");
  f.field("resolution", resolution, {16, 1024}, "rows and columns after resizing, a power of two");
  f.field("channels", channels, {1, 3}, "1 (grey) or 3 (RGB)");
  f.section("phantom", phantom, "what is drawn when source is phantom");
  f.field("class_names", class_names,
          "label folders in the order of their numbers; empty: all of them, sorted");
  f.field("subject_regex", subject_regex,
          "finds the subject in a file name: its first group, or all that matches; empty: the name "
          "without its ending");
  f.section("split", split, "which subjects train, validate and test");
  f.field("max_bad_fraction", max_bad_fraction, {0, 1},
          "share of unreadable pictures above which the stage fails");
  f.field("threads", threads, {0, 4096}, "threads that decode; 0: one a core");
}

void IngestConfig::check() const {
  require(std::has_single_bit(static_cast<uint64_t>(resolution)), "ingest.resolution: ", resolution,
          " is no power of two; use 16, 32, 64, 128, 256, 512 or 1024");
  require(channels == 1 || channels == 3, "ingest.channels: ", channels,
          " (grey or RGB are the choices); use 1 or 3");
  require(source == "phantom" || !path.empty(), "ingest.path: is empty (source is ", source,
          "); give the folder that holds the pictures");
  require(source != "pcam" || channels == 3, "ingest.channels: ", channels,
          " (PatchCamelyon is stained tissue, in colour); use 3");
  require(source != "pcam" || split.mode == "folders",
          "ingest.split.mode: random (PatchCamelyon has its own splits); use folders");
  require(source != "phantom" || split.mode == "random",
          "ingest.split.mode: folders (drawn knees lie in no folders); use random");
  require(source != "phantom" || class_names.empty(),
          "ingest.class_names: given (drawn knees have their own two classes); remove it");
  const double sum = split.train + split.val + split.test;
  require(split.mode != "random" || std::abs(sum - 1) < 1e-6,
          "ingest.split: train + val + test is ", sum, "; make it 1");
  require(!split.halve_val || split.mode == "folders",
          "ingest.split.halve_val: true (it divides a val folder, and split.mode is random); set "
          "split.mode: folders");
  require(
      std::set<std::string>(class_names.begin(), class_names.end()).size() == class_names.size(),
      "ingest.class_names: names a class twice; remove one");
  try {
    std::regex{subject_regex};
  } catch (const std::regex_error& error) {
    throw UsageError(detail::concatenate("ingest.subject_regex: '", subject_regex,
                                         "' is no regular expression (", error.what(),
                                         "); for OAI it is ([0-9]+)[LR]"));
  }
}

}  // namespace stylescope
