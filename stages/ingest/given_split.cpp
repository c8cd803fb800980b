#include "stages/ingest/given_split.hpp"

#include "stages/images/subject_split.hpp"

namespace stylescope {

std::vector<Split> settle_splits(const SplitConfig& config, const std::vector<SplitWish>& images,
                                 uint64_t seed) {
  const auto is_given = [&](const SplitWish& image) {
    return image.given && !(config.halve_val && image.given == Split::val);
  };
  std::vector<SubjectImage> dealt;
  for (const auto& image : images)
    if (!is_given(image)) dealt.push_back({image.subject, image.label});
  const SplitShares shares = config.halve_val ? SplitShares{0, 0.5, 0.5}
                                              : SplitShares{config.train, config.val, config.test};
  const auto drawn = split_by_subject(dealt, shares, seed);
  std::vector<Split> splits;
  size_t next = 0;
  for (const auto& image : images) splits.push_back(is_given(image) ? *image.given : drawn[next++]);
  return splits;
}

}  // namespace stylescope
