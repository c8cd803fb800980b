#include "stages/tile/tile_sampler.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace stylescope {

TileSampler::TileSampler(const std::vector<TilePlace>& places, const TileSampleConfig& config,
                         const std::string& slide, uint64_t seed)
    : slide_(slide), seed_(seed), group_of_(places.size(), -1) {
  std::map<int64_t, std::vector<int64_t>> by_label;
  std::vector<int64_t> hard;
  for (size_t i = 0; i < places.size(); ++i) {
    const auto& place = places[i];
    if (place.fate != TileFate::kept) continue;
    if (place.label == 0 && place.near_border && config.negative > 0 && config.hard_negatives > 0)
      hard.push_back(static_cast<int64_t>(i));
    else
      by_label[place.label].push_back(static_cast<int64_t>(i));
  }
  // What hard ones fall short of goes to the others, even where there are none so far.
  if (!hard.empty()) by_label[0];
  const int64_t hard_wanted =
      hard.empty() ? 0 : std::llround(config.hard_negatives * static_cast<double>(config.negative));
  if (!hard.empty()) add_group(std::move(hard), hard_wanted, 0, -1);
  for (auto& [label, indices] : by_label) {
    const int64_t most = label == 0 ? config.negative : config.positive;
    add_group(std::move(indices), label == 0 ? most - hard_wanted : most, label,
              most == 0 ? std::numeric_limits<int64_t>::min() : label);
  }
}

// `key` of the smallest int64: all of them, in their order.
void TileSampler::add_group(std::vector<int64_t> places, int64_t wanted, int64_t purse,
                            int64_t key) {
  Group group;
  group.purse = purse;
  if (key == std::numeric_limits<int64_t>::min()) {
    group.wanted = static_cast<int64_t>(places.size());
    group.order = std::move(places);
  } else {
    group.wanted = wanted;
    const auto order = keyed_permutation({seed_, "tile.sample." + slide_, key},
                                         static_cast<int64_t>(places.size()));
    for (int64_t i = 0; i < order.numel(); ++i)
      group.order.push_back(places[static_cast<size_t>(order.data_ptr<int64_t>()[i])]);
  }
  for (const int64_t place : group.order)
    group_of_[static_cast<size_t>(place)] = static_cast<int64_t>(groups_.size());
  groups_.push_back(std::move(group));
}

// A group that has nothing left passes what it still wants to one of its purse that has.
void TileSampler::share_out() {
  for (auto& poor : groups_) {
    if (poor.left() > 0 || poor.accepted >= poor.wanted) continue;
    for (auto& rich : groups_) {
      if (&rich == &poor || rich.purse != poor.purse || rich.left() == 0) continue;
      rich.wanted += poor.wanted - poor.accepted;
      poor.wanted = poor.accepted;
      break;
    }
  }
}

std::vector<int64_t> TileSampler::next() {
  share_out();
  std::vector<int64_t> batch;
  for (auto& group : groups_) {
    const int64_t count = std::min(group.wanted - group.accepted, group.left());
    for (int64_t i = 0; i < count; ++i) batch.push_back(group.order[group.asked++]);
  }
  std::sort(batch.begin(), batch.end());
  return batch;
}

void TileSampler::accept(int64_t place) {
  const int64_t group = group_of_.at(static_cast<size_t>(place));
  SS_CHECK(group >= 0, "place ", place, " was no candidate");
  ++groups_[static_cast<size_t>(group)].accepted;
}

std::vector<int64_t> TileSampler::left_over() const {
  std::vector<int64_t> places;
  for (const auto& group : groups_)
    places.insert(places.end(), group.order.begin() + static_cast<std::ptrdiff_t>(group.asked),
                  group.order.end());
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace stylescope
