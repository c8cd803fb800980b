#include "stages/ingest/pcam_plan.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/pcam_file.hpp"
#include "io/picture.hpp"
#include "io/sha256.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct PcamSplit {
  const char* name;
  Split split;
};
constexpr PcamSplit kPcamSplits[] = {
    {"train", Split::train}, {"valid", Split::val}, {"test", Split::test}};

// Where each image of the plan lies.
struct PcamImages {
  std::vector<PcamFile> files;
  std::vector<std::pair<size_t, int64_t>> place;  // file, row
};

}  // namespace

ImagePlan plan_pcam(const IngestConfig& config) {
  auto images = std::make_shared<PcamImages>();
  ImagePlan plan;
  plan.label_names = {"normal", "tumor"};
  for (const auto& [name, split] : kPcamSplits) {
    images->files.emplace_back(config.path, name);
    const auto& file = images->files.back();
    if (!file.has_slides())
      log::warn(
          "ingest: {}: split '{}' has no meta csv: which slide an image is from is not known, "
          "and intervals take every image for a subject of its own",
          config.path, name);
    for (int64_t i = 0; i < file.size(); ++i) {
      const auto& own = file.record(i);
      const std::string path = std::string(name) + "/" + std::to_string(i);
      ImageRecord record;
      record.label = own.label;
      record.split = split;
      record.subject = file.has_slides() ? own.slide : path;
      record.path = path;
      record.slide = own.slide;
      if (file.has_slides()) {
        record.x = static_cast<double>(own.x);
        record.y = static_cast<double>(own.y);
      }
      plan.records.push_back(std::move(record));
      images->place.emplace_back(images->files.size() - 1, i);
    }
  }
  plan.listed = static_cast<int64_t>(plan.records.size());
  plan.load = [images, size = config.resolution](int64_t i) {
    const auto [file, row] = images->place[static_cast<size_t>(i)];
    return resize_picture(images->files[file].image(row), size).contiguous();
  };
  return plan;
}

std::string pcam_fingerprint(const IngestConfig& config) {
  validate(fs::is_directory(config.path), config.path,
           ": is no folder (or is not there); check ingest.path");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(config.path))
    if (entry.path().filename().string().starts_with("camelyonpatch_level_2_split_"))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Sha256 hash;
  for (const auto& file : files)
    hash.update(detail::concatenate(file.string(), '\0', fs::file_size(file), '\0',
                                    fs::last_write_time(file).time_since_epoch().count(), '\0'));
  return hash.finish();
}

}  // namespace stylescope
