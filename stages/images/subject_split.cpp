#include "stages/images/subject_split.hpp"

#include "distributed/random.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

namespace stylescope {

std::vector<Split> split_by_subject(const std::vector<SubjectImage>& images,
                                    const SplitShares& shares, uint64_t seed) {
  std::map<std::string, std::multiset<int64_t>> labels;
  for (const auto& image : images) labels[image.subject].insert(image.label);
  std::map<std::set<int64_t>, std::vector<std::string>> strata;  // subjects sorted by name
  for (const auto& [subject, own] : labels) strata[{own.begin(), own.end()}].push_back(subject);

  std::map<std::string, Split> split_of;
  std::array<int64_t, 3> dealt{};
  int64_t number = 0, stratum_number = 0;
  for (const auto& [stratum, subjects] : strata) {
    const auto order = keyed_permutation({seed, "ingest.split", stratum_number++},
                                         static_cast<int64_t>(subjects.size()));
    for (size_t i = 0; i < subjects.size(); ++i) {
      ++number;
      // To the split that lags most behind its share; strata follow one another, so each is shared
      // out evenly.
      size_t next = 0;
      const auto lag = [&](size_t s) {
        return shares[s] * static_cast<double>(number) - static_cast<double>(dealt[s]);
      };
      for (size_t s = 1; s < shares.size(); ++s)
        if (lag(s) > lag(next) + 1e-9) next = s;
      ++dealt[next];
      split_of[subjects[static_cast<size_t>(order[static_cast<int64_t>(i)].item<int64_t>())]] =
          static_cast<Split>(next);
    }
  }
  std::vector<Split> splits;
  splits.reserve(images.size());
  for (const auto& image : images) splits.push_back(split_of.at(image.subject));
  return splits;
}

std::string subject_of(const std::string& file_name, const std::string& pattern) {
  if (pattern.empty()) return std::filesystem::path(file_name).stem().string();
  std::smatch match;
  if (!std::regex_search(file_name, match, std::regex(pattern))) return {};
  return match.size() > 1 ? match[1].str() : match[0].str();
}

}  // namespace stylescope
