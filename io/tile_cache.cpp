#include "io/tile_cache.hpp"

#include "io/base/error.hpp"

#include <exception>
#include <iterator>
#include <utility>

namespace stylescope {

TileCache::Pixels TileCache::get(uint64_t key, int64_t bytes, const Decode& decode) {
  std::shared_ptr<Entry> entry;
  {
    std::unique_lock lock(mutex_);
    if (const auto found = places_.find(key); found != places_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return wait_for(lock, *found->second);
    }
    entry = add(key, bytes);
  }
  try {
    if (!entry->pixels)
      entry->pixels = std::make_shared_for_overwrite<uint8_t[]>(static_cast<size_t>(bytes));
    decode(entry->pixels.get());
  } catch (const std::exception& error) {
    fail(entry, error.what());
    throw;
  }
  const std::scoped_lock lock(mutex_);
  entry->ready = true;
  done_.notify_all();
  return entry->pixels;
}

TileCache::Pixels TileCache::find(uint64_t key) {
  const std::scoped_lock lock(mutex_);
  const auto found = places_.find(key);
  if (found == places_.end() || !(*found->second)->ready) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return order_.front()->pixels;
}

int64_t TileCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

TileCache::Pixels TileCache::wait_for(std::unique_lock<std::mutex>& lock,
                                      const std::shared_ptr<Entry>& entry) {
  const std::shared_ptr<Entry> held = entry;
  done_.wait(lock, [&] { return held->ready || !held->failure.empty(); });
  validate(held->failure.empty(), held->failure);
  return held->pixels;
}

// Makes room, and takes over the memory of the tile dropped last where nobody reads it any more.
std::shared_ptr<TileCache::Entry> TileCache::add(uint64_t key, int64_t bytes) {
  auto entry = std::make_shared<Entry>();
  entry->key = key;
  entry->bytes = bytes;
  for (auto at = order_.end(); bytes_ + bytes > capacity_ && at != order_.begin();) {
    --at;
    if (!(*at)->ready) continue;
    bytes_ -= (*at)->bytes;
    places_.erase((*at)->key);
    if (at->use_count() == 1 && (*at)->pixels.use_count() == 1)
      entry->pixels = std::move((*at)->pixels);
    at = order_.erase(at);
  }
  bytes_ += bytes;
  order_.push_front(entry);
  places_[key] = order_.begin();
  return entry;
}

void TileCache::fail(const std::shared_ptr<Entry>& entry, const char* why) {
  const std::scoped_lock lock(mutex_);
  entry->failure = why;
  bytes_ -= entry->bytes;
  const auto found = places_.find(entry->key);
  order_.erase(found->second);
  places_.erase(found);
  done_.notify_all();
}

}  // namespace stylescope
