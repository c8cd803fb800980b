#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

// Decoded tiles, the least recently used dropped first. Threads that want the same tile at the same
// time wait for one of them to decode it.
namespace stylescope {

class TileCache {
 public:
  // Holds `capacity` bytes at most, beyond the tiles being decoded or in use.
  explicit TileCache(int64_t capacity) : capacity_(capacity) {}
  TileCache(const TileCache&) = delete;
  TileCache& operator=(const TileCache&) = delete;

  using Pixels = std::shared_ptr<const uint8_t[]>;
  using Decode = std::function<void(uint8_t* pixels)>;

  // The tile `key` of `bytes` bytes, made by `decode` when it is not there. An Error of decode goes
  // to all who wait for the tile; the next who asks tries again.
  Pixels get(uint64_t key, int64_t bytes, const Decode& decode);
  // The tile, when it is there whole.
  Pixels find(uint64_t key);
  int64_t bytes() const;

 private:
  struct Entry {
    uint64_t key = 0;
    int64_t bytes = 0;
    std::shared_ptr<uint8_t[]> pixels;
    bool ready = false;
    std::string failure;
  };
  using Order = std::list<std::shared_ptr<Entry>>;  // most recently used first

  std::shared_ptr<Entry> add(uint64_t key, int64_t bytes);
  void fail(const std::shared_ptr<Entry>& entry, const char* why);
  Pixels wait_for(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Entry>& entry);

  const int64_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable done_;
  Order order_;
  std::unordered_map<uint64_t, Order::iterator> places_;
  int64_t bytes_ = 0;
};

}  // namespace stylescope
