#include "stages/ingest/image_plan.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "stages/ingest/picture_folder.hpp"
#include "stages/ingest/subject_split.hpp"
#include "stages/phantom/knee_phantom.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

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

void check_splits(const ImagePlan& plan) {
  std::array<std::set<int64_t>, 3> labels;
  for (const auto& record : plan.records)
    labels[static_cast<size_t>(record.split)].insert(record.label);
  for (const Split split : {Split::train, Split::val, Split::test}) {
    const auto& own = labels[static_cast<size_t>(split)];
    validate(!own.empty(), "ingest.split: the ", to_string(split),
             " split gets no images (too few subjects, or a share of 0); give more images or other "
             "shares");
    for (size_t label = 0; label < plan.label_names.size(); ++label) {
      if (own.contains(static_cast<int64_t>(label))) continue;
      validate(split != Split::train, "ingest.split: class '", plan.label_names[label],
               "' has no subject in the training split (too few of them); add images, or leave the "
               "class "
               "out");
      log::warn("ingest: class '{}' has no subject in the {} split", plan.label_names[label],
                to_string(split));
    }
  }
}

}  // namespace

void check_bad_share(const IngestConfig& config, const std::vector<BadFile>& bad, int64_t listed,
                     const std::string& list) {
  const double share = static_cast<double>(bad.size()) / static_cast<double>(listed);
  if (bad.empty() || share <= config.max_bad_fraction) return;
  char percent[64];
  std::snprintf(percent, sizeof percent, "%.3g %%, more than ingest.max_bad_fraction, %.3g %%",
                100 * share, 100 * config.max_bad_fraction);
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, bad.size()); ++i)
    first += (i ? "; " : "") + bad[i].path + ": " + bad[i].reason;
  throw Error(detail::concatenate(config.path, ": ", bad.size(), " of ", listed,
                                  " pictures cannot be used (", percent, "): ", first,
                                  bad.size() > 3 ? "; ..." : "", "; mend or remove them: ", list,
                                  " lists them all"));
}

ImagePlan plan_images(const IngestConfig& config, uint64_t seed) {
  ImagePlan plan =
      config.source == "phantom" ? plan_phantom(config, seed) : plan_folder(config, seed);
  // Where most names do not match, that is the news, not the empty splits that follow from it.
  const double bad_share = static_cast<double>(plan.bad.size()) / static_cast<double>(plan.listed);
  if (bad_share <= config.max_bad_fraction) check_splits(plan);
  return plan;
}

}  // namespace stylescope
