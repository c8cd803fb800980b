#include "stages/ingest/image_plan.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "stages/images/census.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/ingest/given_split.hpp"
#include "stages/ingest/knee_side.hpp"
#include "stages/ingest/pcam_plan.hpp"
#include "stages/ingest/picture_facts.hpp"
#include "stages/ingest/picture_folder.hpp"
#include "stages/ingest/table_plan.hpp"
#include "stages/ingest/zip_plan.hpp"
#include "stages/phantom/knee_phantom.hpp"

#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>

namespace stylescope {
namespace {

std::string numbered(const char* format, int64_t number) {
  char text[40];
  std::snprintf(text, sizeof text, format, static_cast<long>(number));
  return text;
}

ImagePlan plan_phantom(const IngestConfig& config, uint64_t seed) {
  const PhantomConfig& phantom = config.phantom;
  std::vector<SubjectImage> images;
  for (int64_t subject = 0; subject < phantom.subjects; ++subject)
    for (int64_t image = 0; image < phantom.images_per_subject; ++image)
      images.push_back(
          {numbered("knee-%06ld", subject), knee_factors(seed, subject, image).label()});
  const auto splits =
      split_by_subject(images, {config.split.train, config.split.val, config.split.test}, seed);

  ImagePlan plan;
  plan.label_names = {"wide", "narrow"};
  plan.listed = static_cast<int64_t>(images.size());
  std::vector<KneeFactors> factors;
  for (size_t i = 0; i < images.size(); ++i) {
    const auto subject = static_cast<int64_t>(i) / phantom.images_per_subject;
    const auto image = static_cast<int64_t>(i) % phantom.images_per_subject;
    const double correlation = splits[i] == Split::train ? phantom.nuisance_correlation : 0;
    factors.push_back(knee_factors(seed, subject, image, correlation));
    plan.records.push_back({images[i].label, splits[i], images[i].subject,
                            "phantom/" + images[i].subject + numbered("/%ld", image),
                            factors.back().attributes()});
  }
  plan.load = [factors = std::move(factors), seed, visits = phantom.images_per_subject,
               size = config.resolution, channels = config.channels](int64_t i) {
    const auto grey =
        draw_knee(factors[static_cast<size_t>(i)], size, seed, i / visits, i % visits);
    return grey.expand({channels, size, size}).contiguous();
  };
  return plan;
}

void check_split_folders(const std::string& root, const std::vector<ListedPicture>& pictures) {
  std::map<std::string, const ListedPicture*> first;
  for (const auto& picture : pictures) {
    const auto known = first.emplace(picture.subject, &picture).first->second;
    validate(
        known->folder == picture.folder, root, ": subject '", picture.subject,
        "' lies in two split folders, ", known->path, " and ", picture.path,
        " (what was trained on would be tested on); keep all images of a subject in one split");
  }
}

// A picture of the folder, and which knee it shows.
struct FolderImage {
  ListedPicture picture;
  std::optional<Side> side;
};

// A picture without a subject in its name says it itself, where it is DICOM; so do sides.
std::vector<FolderImage> ask_pictures(const IngestConfig& config, const PictureFolder& folder) {
  std::vector<FolderImage> images;
  std::vector<std::filesystem::path> files;
  bool ask = config.subject_regex.empty();
  for (const auto& picture : folder.pictures) {
    files.push_back(std::filesystem::path(config.path) / picture.path);
    images.push_back({picture, side_in_name(files.back(), config.knees)});
    ask = ask || (config.knees.mirrors() && !images.back().side);
  }
  if (!ask) return images;
  const auto facts = picture_facts(files, config.threads);
  for (size_t i = 0; i < images.size(); ++i) {
    if (config.subject_regex.empty() && !facts[i].patient.empty())
      images[i].picture.subject = facts[i].patient;
    if (!images[i].side) images[i].side = side_from(facts[i].laterality, config.knees);
  }
  return images;
}

// Why an image cannot be used; "" where it can.
std::string missing_in(const FolderImage& image, const IngestConfig& config) {
  if (image.picture.subject.empty())
    return "the file name does not match ingest.subject_regex '" + config.subject_regex + "'";
  if (config.knees.mirrors() && !image.side)
    return "its side is not known (by ingest.knees.side_regex or a DICOM header), and "
           "ingest.knees.mirror needs it";
  return {};
}

ImagePlan plan_folder(const IngestConfig& config, uint64_t seed) {
  const PictureFolder folder = list_pictures(config);
  ImagePlan plan;
  plan.label_names = folder.label_names;
  plan.listed = static_cast<int64_t>(folder.pictures.size());
  std::vector<ListedPicture> pictures;
  std::vector<std::optional<Side>> sides;
  for (auto& image : ask_pictures(config, folder)) {
    if (const auto reason = missing_in(image, config); !reason.empty()) {
      plan.bad.push_back({image.picture.path, reason});
      continue;
    }
    pictures.push_back(std::move(image.picture));
    sides.push_back(image.side);
  }
  check_split_folders(config.path, pictures);
  std::vector<SplitWish> wishes;
  for (const auto& p : pictures) wishes.push_back({p.subject, p.label, p.folder});
  const auto splits = settle_splits(config.split, wishes, seed);
  for (size_t i = 0; i < pictures.size(); ++i) {
    plan.records.push_back(
        {pictures[i].label, splits[i], pictures[i].subject, pictures[i].path, {}});
    if (config.knees.mirrors()) plan.records.back().attributes["side"] = side_value(sides[i]);
  }
  if (config.knees.mirrors()) plan.value_names["side"] = side_values();
  const PictureSettings settings = config.pictures();
  plan.tally = settings.tally;
  plan.load = [root = std::filesystem::path(config.path), paths = std::move(pictures),
               sides = std::move(sides), knees = config.knees, settings, size = config.resolution,
               channels = config.channels](int64_t i) {
    const auto file = root / paths[static_cast<size_t>(i)].path;
    const auto pixels = knee_of(read_picture(file, channels, settings), file.string(),
                                sides[static_cast<size_t>(i)], std::nullopt, knees);
    check_picture_size(file.string(), pixels, size);
    return resize_picture(pixels, size).contiguous();
  };
  return plan;
}

}  // namespace

ImagePlan plan_images(const IngestConfig& config, uint64_t seed) {
  ImagePlan plan = config.source == "phantom" ? plan_phantom(config, seed)
                   : config.source == "pcam"  ? plan_pcam(config)
                   : config.source == "zip"   ? plan_zip(config, seed)
                   : config.source == "table" ? plan_table(config, seed)
                                              : plan_folder(config, seed);
  // Where most names do not match, that is the news, not the empty splits that follow from it.
  const double bad_share = static_cast<double>(plan.bad.size()) / static_cast<double>(plan.listed);
  if (bad_share > config.max_bad_fraction) return plan;
  Census census(plan.label_names);
  for (const auto& record : plan.records) census.add(record);
  census.check("ingest");
  return plan;
}

}  // namespace stylescope
