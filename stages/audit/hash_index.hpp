#pragma once

#include <array>
#include <cstdint>
#include <vector>

// Which of many 64-bit hashes differ from a given one in few bits, without looking at all: multi-
// index hashing (Norouzi, Punjani, Fleet 2012, "Fast Search in Hamming Space with Multi-Index
// Hashing").
namespace stylescope {

struct HashMatch {
  int64_t index = 0;  // into the hashes
  int distance = 0;   // bits that differ
};

// Two hashes that differ in at most d bits have, of 4 bands of 16 bits, one in which they differ in
// at most d / 4. So every band has a table, and is asked for all keys so near to the hash's own.
class HashIndex {
 public:
  // distance: 0..15.
  HashIndex(const std::vector<uint64_t>& hashes, int distance);
  // Appends every hash within the distance, once, in no particular order. From any thread.
  void find(uint64_t hash, std::vector<HashMatch>& matches) const;

 private:
  static constexpr int kBands = 4, kBits = 16;
  struct Entry {
    uint64_t hash;
    int64_t index;
  };
  static uint32_t key(uint64_t hash, int band) {
    return static_cast<uint32_t>(hash >> (kBits * band)) & ((1U << kBits) - 1);
  }

  int distance_, radius_;
  std::vector<uint32_t> masks_;                      // with at most radius_ bits
  std::array<std::vector<uint32_t>, kBands> begin_;  // of a key's entries
  std::array<std::vector<Entry>, kBands> entries_;   // sorted by key
};

}  // namespace stylescope
