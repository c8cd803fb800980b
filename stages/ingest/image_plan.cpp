#include "stages/ingest/image_plan.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "stages/images/census.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/ingest/pcam_plan.hpp"
#include "stages/ingest/picture_folder.hpp"
#include "stages/phantom/knee_phantom.hpp"

#include <cstdio>
#include <filesystem>
#include <map>

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

std::vector<Split> splits_of(const IngestConfig& config, const std::vector<ListedPicture>& pictures,
                             uint64_t seed) {
  std::vector<SubjectImage> dealt;
  for (const auto& p : pictures)
    if (!p.folder || (config.split.halve_val && p.folder == Split::val))
      dealt.push_back({p.subject, p.label});
  const SplitShares shares =
      config.split.halve_val ? SplitShares{0, 0.5, 0.5}
                             : SplitShares{config.split.train, config.split.val, config.split.test};
  const auto drawn = split_by_subject(dealt, shares, seed);
  std::vector<Split> splits;
  size_t next = 0;
  for (const auto& p : pictures) {
    const bool given = p.folder && !(config.split.halve_val && p.folder == Split::val);
    splits.push_back(given ? *p.folder : drawn[next++]);
  }
  return splits;
}

ImagePlan plan_folder(const IngestConfig& config, uint64_t seed) {
  PictureFolder folder = list_pictures(config);
  ImagePlan plan;
  plan.label_names = folder.label_names;
  plan.listed = static_cast<int64_t>(folder.pictures.size());
  std::vector<ListedPicture> pictures;
  for (auto& picture : folder.pictures) {
    if (picture.subject.empty())
      plan.bad.push_back({picture.path, "the file name does not match ingest.subject_regex '" +
                                            config.subject_regex + "'"});
    else
      pictures.push_back(std::move(picture));
  }
  check_split_folders(config.path, pictures);
  const auto splits = splits_of(config, pictures, seed);
  for (size_t i = 0; i < pictures.size(); ++i)
    plan.records.push_back(
        {pictures[i].label, splits[i], pictures[i].subject, pictures[i].path, {}});
  plan.load = [root = std::filesystem::path(config.path), paths = std::move(pictures),
               size = config.resolution, channels = config.channels](int64_t i) {
    return resize_picture(read_picture(root / paths[static_cast<size_t>(i)].path, channels), size)
        .contiguous();
  };
  return plan;
}

}  // namespace

ImagePlan plan_images(const IngestConfig& config, uint64_t seed) {
  ImagePlan plan = config.source == "phantom" ? plan_phantom(config, seed)
                   : config.source == "pcam"  ? plan_pcam(config)
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
