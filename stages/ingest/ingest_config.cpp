#include "stages/ingest/ingest_config.hpp"

#include "io/picture.hpp"
#include "stages/images/config_checks.hpp"

#include <bit>
#include <cmath>
#include <memory>
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
  f.choice("mode", mode, {"random", "folders", "table"},
           "random: by subject, stratified by label; folders: path/{train,val,test}/<label>/ (val "
           "may be called valid or validation); table: the table's column 'split'");
  f.field("train", train, {0, 1}, "share of the subjects that train (mode random)");
  f.field("val", val, {0, 1}, "share that validates (mode random)");
  f.field("test", test, {0, 1}, "share that only evaluate and explain see (mode random)");
  f.field("halve_val", halve_val,
          "mode folders or table without test images: half of val's subjects become the test "
          "split");
}

void DicomConfig::describe(Fields& f) {
  f.choice("stretch", stretch, {"window", "percentile", "full"},
           "window: the file's own window or VOI table, else percentiles; full: from the smallest "
           "to the largest value");
  f.field("low", low, {0, 100}, "this percentage of the pixels becomes black (stretch percentile)");
  f.field("high", high, {0, 100}, "above this percentage pixels become white");
}

void IngestConfig::describe(Fields& f) {
  f.choice(
      "source", source, {"phantom", "folder", "table", "pcam", "zip"},
      "drawn knees, a folder of pictures, a table of them, PatchCamelyon's own HDF5 files, or a "
      "StyleGAN2-ADA data set (zip, or the same unpacked)");
  f.field("path", path,
          "the folder of pictures: path/<label>/*.png|jpg|jpeg|tif|tiff|dcm|dicom|ima, and DICOM "
          "without an ending; that a table's paths start at (empty: the table's own); of "
          "PatchCamelyon's files; the zip archive, or the folder with dataset.json");
  f.field("resolution", resolution, {16, 1024}, "rows and columns after resizing, a power of two");
  f.field("channels", channels, {1, 3}, "1 (grey) or 3 (RGB)");
  f.section("phantom", phantom, "what is drawn when source is phantom");
  f.field("class_names", class_names,
          "label folders, or a table's labels, in the order of their numbers; empty: all of them, "
          "sorted");
  f.section("table", table, "what is read when source is table");
  f.section("knees", knees, "films of two knees, sides, and tables of readings");
  f.field("subject_regex", subject_regex,
          "finds the subject in a file name: its first group, or all that matches; empty: DICOM's "
          "PatientID, else the name without its ending");
  f.field("keep_ids", keep_ids,
          "write subjects and file names as they are, instead of keyed hashes of the subjects");
  f.field("id_key_file", id_key_file,
          "key of these hashes, at least 16 bytes; empty: made once, <run_dir>/subject.key");
  f.section("split", split, "which subjects train, validate and test");
  f.section("dicom", dicom, "how grey DICOM pictures become 8 bits");
  f.choice("bit_depth", bit_depth, {"auto", "8", "10", "12", "14", "16"},
           "bits in use in 16-bit PNG and TIFF (12: white is 4095); auto: 16, and a warning where "
           "all of them are dark");
  f.section("audit", audit, "which images of different splits are too much alike");
  f.field("max_bad_fraction", max_bad_fraction, {0, 1},
          "share of unreadable pictures above which the stage fails");
  f.field("threads", threads, {0, 4096}, "threads that decode; 0: one a core");
}

PictureSettings IngestConfig::pictures() const {
  PictureSettings settings;
  settings.dicom = {dicom.stretch, dicom.low, dicom.high};
  if (bit_depth != "auto") settings.bit_depth = std::stoll(bit_depth);
  settings.tally = std::make_shared<PictureTally>();
  return settings;
}

void IngestConfig::check() const {
  require(std::has_single_bit(static_cast<uint64_t>(resolution)), "ingest.resolution: ", resolution,
          " is no power of two; use 16, 32, 64, 128, 256, 512 or 1024");
  require(channels == 1 || channels == 3, "ingest.channels: ", channels,
          " (grey or RGB are the choices); use 1 or 3");
  require(source == "phantom" || source == "table" || !path.empty(),
          "ingest.path: is empty (source is ", source,
          "); give the folder that holds the pictures");
  require((source == "table") == !table.file.empty(), "ingest.table.file: is ",
          table.file.empty() ? "empty" : "given", " (source is ", source,
          "); give both, source: table and table.file, or neither");
  require((source != "table") || split.mode != "folders",
          "ingest.split.mode: folders (source is table); use random or table");
  require(source == "table" || split.mode != "table", "ingest.split.mode: table (source is ",
          source, "); use random or folders");
  knees.check(source);
  require(!keep_ids || id_key_file.empty(),
          "ingest.id_key_file: given (keep_ids is true, so that no key is used); remove one");
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
  require(dicom.low < dicom.high, "ingest.dicom.low: ", dicom.low,
          " is not below ingest.dicom.high, ", dicom.high, "; lower it");
  require(source != "zip" || !split.halve_val,
          "ingest.split.halve_val: true (a StyleGAN2-ADA data set has no folder val); set it to "
          "false");
  require(!split.halve_val || split.mode != "random",
          "ingest.split.halve_val: true (it divides a given val split, and split.mode is random); "
          "set split.mode: folders");
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
