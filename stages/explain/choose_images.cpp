#include "stages/explain/choose_images.hpp"

#include "distributed/random.hpp"
#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace stylescope {
namespace {

// How many of each label: one after another in turn, as long as a label has any left.
std::map<int64_t, int64_t> deal(const std::map<int64_t, std::vector<int64_t>>& by_label,
                                int64_t count) {
  std::map<int64_t, int64_t> dealt;
  for (bool more = true; more && count > 0;) {
    more = false;
    for (const auto& [label, images] : by_label) {
      if (count == 0 || dealt[label] == static_cast<int64_t>(images.size())) continue;
      ++dealt[label];
      --count;
      more = true;
    }
  }
  return dealt;
}

}  // namespace

std::vector<int64_t> choose_images(const torch::Tensor& labels, const torch::Tensor& scores,
                                   const std::vector<std::string>& subjects, int64_t count,
                                   uint64_t seed) {
  SS_CHECK(labels.numel() == scores.numel() &&
           labels.numel() == static_cast<int64_t>(subjects.size()));
  const auto label = labels.contiguous();
  const auto score = scores.contiguous();
  std::map<int64_t, std::vector<int64_t>> by_label;
  for (int64_t i = 0; i < label.numel(); ++i) by_label[label.data_ptr<int64_t>()[i]].push_back(i);

  std::vector<int64_t> chosen;
  std::set<std::string> seen;
  for (const auto& [value, parts] : deal(by_label, count)) {
    auto images = by_label[value];
    std::stable_sort(images.begin(), images.end(), [&](int64_t a, int64_t b) {
      return score.data_ptr<double>()[a] < score.data_ptr<double>()[b];
    });
    for (int64_t part = 0; part < parts; ++part) {
      const auto range = share_of(static_cast<int64_t>(images.size()), static_cast<int>(part),
                                  static_cast<int>(parts));
      const auto order =
          keyed_permutation({seed, "explain.choice", value * 1'000'003 + part}, range.size());
      const auto candidate = [&](int64_t k) {
        return images[static_cast<size_t>(range.begin + order[k].item<int64_t>())];
      };
      int64_t pick = candidate(0);
      for (int64_t k = 0; k < range.size() && seen.contains(subjects[static_cast<size_t>(pick)]);
           ++k)
        if (!seen.contains(subjects[static_cast<size_t>(candidate(k))])) pick = candidate(k);
      seen.insert(subjects[static_cast<size_t>(pick)]);
      chosen.push_back(pick);
    }
  }
  return chosen;
}

}  // namespace stylescope
