#pragma once

#include "stages/tile/slide_plan.hpp"
#include "stages/tile/tile_config.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stylescope {

// Chooses which places of a slide become tiles: all of them row by row, or as many of each class as
// tile.sample says, drawn at random (keyed by seed and the slide's name), hard negatives first.
// A tile whose pixels disqualify it is replaced by the next one drawn.
//
//   while (!(batch = sampler.next()).empty())
//     for (const int64_t place : batch) if (good(place)) sampler.accept(place);
class TileSampler {
 public:
  TileSampler(const std::vector<TilePlace>& places, const TileSampleConfig& config,
              const std::string& slide, uint64_t seed);

  // Places to read now, row by row; empty: enough, or none is left.
  std::vector<int64_t> next();
  void accept(int64_t place);
  // The places that were never asked for.
  std::vector<int64_t> left_over() const;

 private:
  struct Group {
    std::vector<int64_t> order;  // of places
    size_t asked = 0;
    int64_t wanted = 0, accepted = 0;
    int64_t purse = 0;  // groups with the same number share what they fall short of
    int64_t left() const { return static_cast<int64_t>(order.size() - asked); }
  };
  void add_group(std::vector<int64_t> places, int64_t wanted, int64_t purse, int64_t key);
  void share_out();

  std::string slide_;
  uint64_t seed_;
  std::vector<Group> groups_;
  std::vector<int64_t> group_of_;  // by place; -1: no candidate
};

}  // namespace stylescope
