#include "stages/ingest/zip_plan.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "io/sha256.hpp"
#include "io/stylegan_set.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/ingest/file_state.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

std::vector<std::string> label_names_of(const IngestConfig& config, const StyleganSet& set) {
  auto names = config.class_names.empty() ? set.label_names() : config.class_names;
  std::vector<int64_t> count(names.size(), 0);
  for (const auto& record : set.records()) {
    validate(record.label < std::ssize(names), config.path, ": '", record.name, "' has label ",
             record.label, ", and ingest.class_names has ", names.size(),
             " names (from 0 on); name every class");
    ++count[static_cast<size_t>(record.label)];
  }
  validate(names.size() > 1, config.path, ": holds only one class, '", names.front(),
           "' (a classifier needs two); make the data set with labels");
  for (size_t k = 0; k < names.size(); ++k)
    validate(count[k] > 0, config.path, ": class '", names[k], "' (label ", k,
             ") has no pictures; number the labels without gaps");
  return names;
}

std::string subject_in(const StyleganRecord& record, const IngestConfig& config) {
  if (!config.subject_regex.empty()) return subject_of(record.name, config.subject_regex);
  return record.subject.empty() ? record.name : record.subject;
}

// As bad_files.csv has it: names may tell who it is.
std::string told_as(const IngestConfig& config, const StyleganRecord& record) {
  if (!config.pseudonyms()) return record.name;
  return "dataset.json entry " + std::to_string(record.entry);
}

std::vector<Split> splits_of(const IngestConfig& config, const StyleganSet& set,
                             const std::vector<ImageRecord>& records,
                             const std::vector<int64_t>& rows, uint64_t seed) {
  std::vector<Split> splits;
  if (config.split.mode == "folders") {
    validate(set.has_subjects(), config.path,
             ": knows no splits (ingest.split.mode is folders, and only data sets that stylescope "
             "exported say them); use mode random");
    for (const int64_t row : rows) splits.push_back(*set.records()[static_cast<size_t>(row)].split);
    return splits;
  }
  std::vector<SubjectImage> images;
  for (const auto& record : records) images.push_back({record.subject, record.label});
  return split_by_subject(images, {config.split.train, config.split.val, config.split.test}, seed);
}

}  // namespace

ImagePlan plan_zip(const IngestConfig& config, uint64_t seed) {
  const auto set = std::make_shared<StyleganSet>(config.path);
  ImagePlan plan;
  plan.label_names = label_names_of(config, *set);
  plan.listed = std::ssize(set->records());
  if (config.subject_regex.empty() && !set->has_subjects())
    log::warn(
        "ingest: {}: which images are of the same subject is not known (a StyleGAN2-ADA data set "
        "does not say it), and every image counts as a subject of its own; if the names tell, set "
        "ingest.subject_regex",
        config.path);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < plan.listed; ++i) {
    const auto& own = set->records()[static_cast<size_t>(i)];
    ImageRecord record;
    record.label = own.label;
    record.subject = subject_in(own, config);
    record.path = own.name;
    if (record.subject.empty()) {
      plan.bad.push_back({told_as(config, own), "the name does not match ingest.subject_regex '" +
                                                    config.subject_regex + "'"});
      continue;
    }
    plan.records.push_back(std::move(record));
    plan.sources.push_back({own.name, set->where(i), told_as(config, own)});
    rows.push_back(i);
  }
  const auto splits = splits_of(config, *set, plan.records, rows, seed);
  for (size_t i = 0; i < splits.size(); ++i) plan.records[i].split = splits[i];
  const PictureSettings settings = config.pictures();
  plan.tally = settings.tally;
  plan.load = [set, rows = std::move(rows), settings, size = config.resolution,
               channels = config.channels](int64_t i) {
    const int64_t row = rows[static_cast<size_t>(i)];
    const auto pixels = set->picture(row, channels, settings);
    check_picture_size(set->where(row), pixels, size);
    return resize_picture(pixels, size).contiguous();
  };
  return plan;
}

std::string zip_fingerprint(const IngestConfig& config) {
  Sha256 hash;
  const auto add = [&](const fs::path& file) { add_file_state(hash, file.string(), file); };
  const fs::path root = config.path;
  validate(fs::exists(root), config.path, ": is not there; check ingest.path");
  if (!fs::is_directory(root)) {
    add(root);
    return hash.finish();
  }
  validate(fs::exists(root / "dataset.json"), config.path,
           ": holds no dataset.json; check ingest.path");
  add(root / "dataset.json");
  try {
    const StyleganSet set(root);
    for (const auto& record : set.records()) add(root / record.name);
  } catch (const Error&) {
    hash.update("damaged");  // the stage runs and says what is wrong with it
  }
  return hash.finish();
}

}  // namespace stylescope
