#include "stages/audit/training_origin.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "stages/audit/audit_files.hpp"
#include "stages/audit/near_duplicates.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

// Nothing where there is none, or a damaged one (which the runner complains of).
std::optional<json> record_in(const fs::path& stage_folder) {
  const fs::path file = stage_folder / "stage.json";
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return std::nullopt;
  auto record = json::parse(read_text(file), nullptr, false);
  if (!record.is_object()) return std::nullopt;
  return record;
}

// Of the stage's input `name`, as it was when the stage was made; "" where it is not known.
std::string input_hash(const json& record, const std::string& name) {
  const json::json_pointer path("/key/inputs/" + name);
  return record.contains(path) && record.at(path).is_string() ? record.at(path).get<std::string>()
                                                              : "";
}

void check_same_images(const fs::path& run_dir, const std::string& images_stage) {
  const auto images = record_in(run_dir / images_stage);
  if (!images) return;
  const std::string now = images->value("output_hash", "");
  for (const std::string stage : {"classifier", "gan", "synthesize", "encoder"}) {
    const auto record = record_in(run_dir / stage);
    const std::string then = record ? input_hash(*record, images_stage) : "";
    validate(then.empty() || then == now, (run_dir / stage).string(),
             ": was made from another images.h5 than the one in ", images_stage,
             " now (what is a test image now may have been a training image); run stage '", stage,
             "' again");
  }
}

struct Weights {
  std::string key;   // "gan.init_generator"
  std::string file;  // absolute, or relative to the working directory
};

// What the stages of a run started from.
std::vector<Weights> starts_of(const fs::path& run_dir) {
  constexpr std::pair<const char*, const char*> kKeys[] = {{"classifier", "init"},
                                                           {"gan", "init_generator"},
                                                           {"gan", "init_discriminator"},
                                                           {"encoder", "init"}};
  std::vector<Weights> starts;
  for (const auto& [stage, key] : kKeys) {
    const auto record = record_in(run_dir / stage);
    if (!record || !record->contains("config")) continue;
    const json& config = record->at("config");
    if (!config.is_object() || !config.contains(key) || !config.at(key).is_string()) continue;
    if (const auto file = config.at(key).get<std::string>(); !file.empty())
      starts.push_back({std::string(stage) + "." + key, file});
  }
  return starts;
}

// The images.h5 that the stage in `folder` of another run was trained on; nothing where it is not
// there any more, or was made again since.
std::optional<fs::path> images_of(const fs::path& folder) {
  const auto record = record_in(folder);
  if (!record) return std::nullopt;
  for (const char* stage : {"ingest", "tile"}) {
    const fs::path file = folder / ".." / stage / "images.h5";
    std::error_code ignored;
    const std::string then = input_hash(*record, stage);
    if (then.empty() || !fs::exists(file, ignored)) continue;
    const auto made = record_in(folder / ".." / stage);
    if (made && made->value("output_hash", "") == then) return file;
  }
  return std::nullopt;
}

// An entry of what the images say of where they come from; "" without one.
std::string source_entry(const ImageSet& images, const char* entry) {
  const auto source = json::parse(images.source_json(), nullptr, false);
  return source.is_object() && source.contains(entry) && source.at(entry).is_string()
             ? source.at(entry).get<std::string>()
             : "";
}

// Test images of one run among the training images of another.
class Comparison {
 public:
  Comparison(const ImageSet& ours, const ImageSet& theirs, const std::string& blame)
      : ours_(ours), theirs_(theirs), blame_(blame) {
    for (const Split split : {Split::train, Split::val}) {
      const auto rows = theirs.indices(split);
      trained_.insert(trained_.end(), rows.begin(), rows.end());
    }
    tested_ = ours.indices(Split::test);
  }

  void check_subjects() const {
    // Drawn knees are nobody.
    if (source_entry(ours_, "source") == "phantom" || source_entry(theirs_, "source") == "phantom")
      return;
    if (source_entry(ours_, "subject_key") != source_entry(theirs_, "subject_key")) {
      log::warn(
          "{} images whose subjects cannot be compared with the test subjects here (their "
          "pseudonyms were not made by the same key); give both runs one ingest.id_key_file",
          blame_);
      return;
    }
    std::set<std::string> subjects;
    for (const int64_t row : trained_) subjects.insert(theirs_.record(row).subject);
    std::set<std::string> common;
    for (const int64_t row : tested_)
      if (subjects.contains(ours_.record(row).subject)) common.insert(ours_.record(row).subject);
    if (common.empty()) return;
    const std::string path = source_entry(ours_, "path");
    validate(path.empty() || path != source_entry(theirs_, "path"), blame_, " the images of ",
             common.size(), " subjects who are test subjects here ('", *common.begin(),
             "', ...; both sets are of ", path, "); ", kAdvice);
    log::warn(
        "{} images of {} subjects with the names of test subjects here ('{}', ...): if they "
        "are the same, {}",
        blame_, common.size(), *common.begin(), kAdvice);
  }

  void check_pixels() const {
    if (trained_.empty() || tested_.empty()) return;
    std::vector<ImagePrint> prints;
    for (int64_t row = 0; row < std::ssize(trained_) + std::ssize(tested_); ++row)
      prints.push_back(print_of(read(row)[0]));
    std::vector<Split> splits(trained_.size(), Split::train);
    splits.resize(prints.size(), Split::test);
    const auto found = find_near_duplicates(
        prints, splits, [this](at::ArrayRef<int64_t> rows) { return read(rows[0]); }, {});
    if (found.pairs.empty()) return;
    const auto& first = found.pairs.front();
    throw Error(detail::concatenate(
        blame_, " images that are nearly the same as test images here, ",
        found.cut ? "at least " : "", found.pairs.size(),
        found.pairs.size() == 1 ? " pair: " : " pairs, the first: ",
        place_of(theirs_.record(trained_[static_cast<size_t>(first.a)])), " there and ",
        place_of(ours_.record(tested_[static_cast<size_t>(first.b) - trained_.size()])), " here; ",
        kAdvice));
  }

 private:
  static constexpr const char* kAdvice =
      "start from other weights, or keep these images out of the test split";

  static int64_t side_of(const ImageSet& set) { return std::min(set.height(), set.width()); }

  // Thumbs of one size only can be compared: where one set is of images smaller than a thumb, those
  // of the other are made as small.
  torch::Tensor read(int64_t row) const {
    const auto trained = std::ssize(trained_);
    const bool is_theirs = row < trained;
    const ImageSet& set = is_theirs ? theirs_ : ours_;
    auto pixels = set.read({is_theirs ? trained_[static_cast<size_t>(row)]
                                      : tested_[static_cast<size_t>(row - trained)]});
    const int64_t side = std::min(side_of(ours_), side_of(theirs_));
    if (side >= kThumbSide || side_of(set) == side) return pixels;
    return resize_picture(pixels[0], side).unsqueeze(0);
  }

  const ImageSet& ours_;
  const ImageSet& theirs_;
  const std::string& blame_;
  std::vector<int64_t> trained_, tested_;
};

class OriginCheck {
 public:
  explicit OriginCheck(const ImageSet& images) : images_(images) {}

  // Weights that a run started from, and what those had started from.
  void check(const fs::path& run_dir, const std::string& chain) {
    for (const auto& weights : starts_of(run_dir)) {
      if (!seen_.insert(fs::weakly_canonical(weights.file).string()).second) continue;
      const std::string named = weights.file + " (" + weights.key + chain + ")";
      const fs::path folder = fs::path(weights.file).parent_path();
      const auto file = images_of(folder);
      if (!file) {
        log::warn("{}: what it was trained on is not known, nor whether test images were among it",
                  named);
        continue;
      }
      compare(*file, named);
      check(folder / "..", " behind " + weights.key + chain);
    }
  }

 private:
  void compare(const fs::path& file, const std::string& named) {
    if (!compared_.insert(fs::weakly_canonical(file).string()).second) return;
    const ImageSet theirs(file);
    // The very same set: its training images are ours.
    if (!theirs.id().empty() && theirs.id() == images_.id()) return;
    const std::string blame = named + ": was trained on";
    const Comparison comparison(images_, theirs, blame);
    comparison.check_subjects();
    comparison.check_pixels();
  }

  const ImageSet& images_;
  std::set<std::string> seen_, compared_;
};

}  // namespace

void check_training_origin(const fs::path& run_dir, const fs::path& images_file,
                           const ImageSet& images) {
  check_same_images(run_dir, images_file.parent_path().filename().string());
  OriginCheck(images).check(run_dir, "");
}

}  // namespace stylescope
