#include "stages/audit/hash_index.hpp"

#include "io/base/error.hpp"

#include <bit>

namespace stylescope {

HashIndex::HashIndex(const std::vector<uint64_t>& hashes, int distance)
    : distance_(distance), radius_(distance / kBands) {
  SS_CHECK(distance >= 0 && distance < kBits, "a distance of ", distance);
  SS_CHECK(hashes.size() < (uint64_t{1} << 32), hashes.size(), " hashes");
  constexpr uint32_t kKeys = 1U << kBits;
  for (uint32_t mask = 0; mask < kKeys; ++mask)
    if (std::popcount(mask) <= radius_) masks_.push_back(mask);
  for (int band = 0; band < kBands; ++band) {
    auto& begin = begin_[static_cast<size_t>(band)];
    auto& entries = entries_[static_cast<size_t>(band)];
    begin.assign(kKeys + 1, 0);
    for (const uint64_t hash : hashes) ++begin[key(hash, band) + 1];
    for (uint32_t k = 0; k < kKeys; ++k) begin[k + 1] += begin[k];
    entries.resize(hashes.size());
    auto next = begin;
    for (size_t i = 0; i < hashes.size(); ++i)
      entries[next[key(hashes[i], band)]++] = {hashes[i], static_cast<int64_t>(i)};
  }
}

void HashIndex::find(uint64_t hash, std::vector<HashMatch>& matches) const {
  for (int band = 0; band < kBands; ++band) {
    const auto& begin = begin_[static_cast<size_t>(band)];
    const auto& entries = entries_[static_cast<size_t>(band)];
    for (const uint32_t mask : masks_) {
      const uint32_t near = key(hash, band) ^ mask;
      for (uint32_t i = begin[near]; i < begin[near + 1]; ++i) {
        const uint64_t difference = entries[i].hash ^ hash;
        const int distance = std::popcount(difference);
        if (distance > distance_) continue;
        bool found_before = false;  // by an earlier band
        for (int b = 0; b < band && !found_before; ++b)
          found_before = std::popcount(key(difference, b)) <= radius_;
        if (!found_before) matches.push_back({entries[i].index, distance});
      }
    }
  }
}

}  // namespace stylescope
