#include "stages/audit/near_duplicates.hpp"

#include "stages/audit/hash_index.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

namespace stylescope {
namespace {

constexpr size_t kMostPairs = 1'000'000;
constexpr size_t kClosest = 24;
constexpr size_t kAtATime = 4096;      // candidates that are looked at together
constexpr size_t kMostThumbs = 16384;  // in memory, 4 KB each

std::vector<Orientation> orientations_of(const AuditConfig& config) {
  if (config.orientations == "same") return {{}};
  if (config.orientations == "mirrored") return {{}, {false, false, true}};
  std::vector<Orientation> all;
  for (int way = 0; way < 8; ++way) all.push_back({(way & 4) != 0, (way & 2) != 0, (way & 1) != 0});
  return all;
}

// What all images have in common: their mean, as far as low frequencies show it.
std::array<float, kPrintSize> mean_of(const std::vector<ImagePrint>& prints) {
  std::array<double, kPrintSize> sum{};
  for (const auto& print : prints)
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += print.low[k];
  std::array<float, kPrintSize> mean{};
  for (size_t k = 0; k < sum.size() && !prints.empty(); ++k)
    mean[k] = static_cast<float>(sum[k] / static_cast<double>(prints.size()));
  return mean;
}

// Pearson's r of a - common and b - common; all of them have mean 0.
double correlation_beyond(const std::vector<float>& common, const std::vector<float>& a,
                          const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < common.size(); ++i) {
    const double x = static_cast<double>(a[i]) - common[i],
                 y = static_cast<double>(b[i]) - common[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

bool more_alike(const NearPair& x, const NearPair& y) {
  return std::tuple(-x.correlation, x.a, x.b) < std::tuple(-y.correlation, y.a, y.b);
}

class Search {
 public:
  Search(const std::vector<ImagePrint>& prints, const std::vector<Split>& splits,
         const PixelReader& read, const AuditConfig& config)
      : prints_(prints),
        splits_(splits),
        read_(read),
        config_(config),
        orientations_(orientations_of(config)) {}

  NearDuplicates run() {
    std::vector<ImagePrint> usable;
    for (size_t i = 0; i < prints_.size(); ++i) {
      if (prints_[i].contrast < config_.min_contrast) {
        ++found_.even;
        continue;
      }
      usable.push_back(prints_[i]);
      rows_[static_cast<size_t>(splits_[i])].push_back(static_cast<int64_t>(i));
    }
    found_.compared = std::ssize(usable);
    medians_ = medians_of(usable);
    mean_ = mean_of(usable);
    search();
    std::sort(found_.pairs.begin(), found_.pairs.end(), more_alike);
    keep_closest();
    return std::move(found_);
  }

 private:
  // However many images have near hashes, all of them are looked at; only so many that are nearly
  // the same end the search.
  void search() {
    const auto distance = static_cast<int>(config_.max_distance);
    std::vector<HashMatch> matches;
    for (size_t split = 0; split + 1 < rows_.size(); ++split) {
      std::vector<uint64_t> hashes;
      for (const int64_t row : rows_[split])
        hashes.push_back(hash_bits(prints_[static_cast<size_t>(row)], medians_));
      const HashIndex index(hashes, distance);
      for (size_t later = split + 1; later < rows_.size(); ++later)
        for (const int64_t row : rows_[later]) {
          for (const auto& orientation : orientations_) {
            matches.clear();
            index.find(hash_bits(turned(prints_[static_cast<size_t>(row)], orientation), medians_),
                       matches);
            for (const auto& match : matches)
              candidates_.push_back({rows_[split][static_cast<size_t>(match.index)], row,
                                     match.distance, 0, orientation});
          }
          if (candidates_.size() < kAtATime) continue;
          look_at_candidates();
          found_.cut = found_.pairs.size() >= kMostPairs;
          if (found_.cut) return;
        }
    }
    look_at_candidates();
  }

  // Those found since the last time; all orientations of a pair are among them.
  void look_at_candidates() {
    for (auto& candidate : candidates_) {
      const Thumb b = turned(thumb(candidate.b), candidate.turned);
      const Thumb& a = thumb(candidate.a);
      if (common_.empty()) common_ = picture_of(mean_, a.side);
      candidate.correlation = correlation_beyond(common_, a.values, b.values);
    }
    sort_out();
    candidates_.clear();
  }

  const Thumb& thumb(int64_t row) {
    if (const auto known = thumbs_.find(row); known != thumbs_.end()) return known->second;
    if (thumbs_.size() >= kMostThumbs) thumbs_.clear();
    return thumbs_.emplace(row, thumb_of(read_({row})[0])).first->second;
  }

  // One entry a pair: the orientation in which it is most alike.
  void sort_out() {
    std::map<std::pair<int64_t, int64_t>, NearPair> best;
    for (const auto& candidate : candidates_) {
      const auto [known, is_new] = best.emplace(std::pair(candidate.a, candidate.b), candidate);
      if (!is_new && candidate.correlation > known->second.correlation) known->second = candidate;
    }
    for (const auto& [rows, pair] : best)
      (pair.correlation >= config_.min_correlation ? found_.pairs : found_.closest).push_back(pair);
    if (found_.closest.size() > kAtATime) keep_closest();
  }

  void keep_closest() {
    std::sort(found_.closest.begin(), found_.closest.end(), more_alike);
    if (found_.closest.size() > kClosest) found_.closest.resize(kClosest);
  }

  const std::vector<ImagePrint>& prints_;
  const std::vector<Split>& splits_;
  const PixelReader& read_;
  const AuditConfig& config_;
  const std::vector<Orientation> orientations_;
  std::array<std::vector<int64_t>, 3> rows_;  // with something on them, by split
  std::array<float, kPrintSize> medians_{}, mean_{};
  std::vector<float> common_;  // the mean image
  std::vector<NearPair> candidates_;
  std::unordered_map<int64_t, Thumb> thumbs_;
  NearDuplicates found_;
};

}  // namespace

NearDuplicates find_near_duplicates(const std::vector<ImagePrint>& prints,
                                    const std::vector<Split>& splits, const PixelReader& read,
                                    const AuditConfig& config) {
  return Search(prints, splits, read, config).run();
}

}  // namespace stylescope
