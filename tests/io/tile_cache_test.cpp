#include "io/tile_cache.hpp"

#include "tests/io/faults.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace stylescope {
namespace {

using testing_support::error_of;

TEST(TileCache, DropsWhatWasNotUsedForTheLongestTime) {
  TileCache cache(300);
  std::vector<int> made;
  const auto get = [&](int key) {
    const auto pixels = cache.get(static_cast<uint64_t>(key), 100, [&](uint8_t* to) {
      made.push_back(key);
      std::fill_n(to, 100, static_cast<uint8_t>(key));
    });
    EXPECT_EQ(pixels[0], key);
    EXPECT_EQ(pixels[99], key);
  };
  for (const int key : {1, 2, 3, 1, 4}) get(key);  // 4 drops 2
  EXPECT_EQ(made, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(cache.bytes(), 300);
  EXPECT_EQ(cache.find(2), nullptr);
  EXPECT_NE(cache.find(1), nullptr);
  get(2);  // drops 3
  EXPECT_EQ(cache.find(3), nullptr);
  EXPECT_EQ(made.back(), 2);
}

TEST(TileCache, PixelsInUseAreNotWrittenOver) {
  TileCache cache(100);
  const auto held = cache.get(1, 100, [](uint8_t* to) { std::fill_n(to, 100, uint8_t{1}); });
  cache.get(2, 100, [](uint8_t* to) { std::fill_n(to, 100, uint8_t{2}); });
  EXPECT_TRUE(std::all_of(held.get(), held.get() + 100, [](uint8_t v) { return v == 1; }));
  EXPECT_EQ(cache.bytes(), 100);
}

TEST(TileCache, OneDecodesForAllWhoWait) {
  TileCache cache(1000);
  std::atomic<int> made{0}, right{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        const auto pixels = cache.get(5, 100, [&](uint8_t* to) {
          ++made;
          std::this_thread::sleep_for(std::chrono::milliseconds(30));
          std::fill_n(to, 100, uint8_t{9});
        });
        right += pixels[99] == 9;
      });
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(right, 8);
}

TEST(TileCache, AFailureReachesAllAndIsForgotten) {
  TileCache cache(1000);
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        try {
          cache.get(5, 100, [](uint8_t*) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            throw Error("torn");
          });
        } catch (const Error& error) {
          failed += std::string(error.what()) == "torn";
        }
      });
  }
  EXPECT_EQ(failed, 4);
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_EQ(cache.get(5, 100, [](uint8_t* to) { to[0] = 3; })[0], 3);
}

}  // namespace
}  // namespace stylescope
