// The fuzz targets in the ordinary build: their seeds, what once failed
// (tests/fuzz/found/<target>), and some thousand changes of both, the same ones each time.
#include "tests/fuzz/targets.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace stylescope::fuzz {
namespace {

namespace fs = std::filesystem;

// A linear congruential generator (Knuth's MMIX): the same numbers everywhere.
class Numbers {
 public:
  size_t below(size_t limit) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return limit == 0 ? 0 : static_cast<size_t>(state_ >> 33) % limit;
  }

 private:
  uint64_t state_ = 1;
};

std::string changed(std::string bytes, Numbers& numbers) {
  for (size_t changes = 1 + numbers.below(4); changes > 0; --changes) {
    const size_t at = numbers.below(bytes.size() + 1);
    switch (numbers.below(4)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(numbers.below(256));
        break;
      case 2:
        bytes.insert(at, 1, static_cast<char>(numbers.below(256)));
        break;
      default:
        bytes.insert(at, bytes.substr(numbers.below(bytes.size() + 1), 1 + numbers.below(16)));
    }
  }
  return bytes;
}

std::vector<std::string> inputs_of(const Target& target) {
  auto inputs = target.seeds();
  const fs::path folder = fs::path(STYLESCOPE_FUZZ_FOUND) / target.name;
  if (fs::exists(folder))
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::ifstream in(entry.path(), std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  return inputs;
}

class FuzzTargets : public testing::TestWithParam<Target> {};
INSTANTIATE_TEST_SUITE_P(, FuzzTargets,
                         testing::Values(config_target(), csv_target(), safetensors_target()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(FuzzTargets, TakeOrRefuseWhateverComes) {
  const auto inputs = inputs_of(GetParam());
  ASSERT_GE(inputs.size(), 5U);
  Numbers numbers;
  for (const auto& input : inputs) {
    EXPECT_NO_THROW(GetParam().run(input));
    for (int i = 0; i < 200; ++i) {
      const auto other = changed(input, numbers);
      EXPECT_NO_THROW(GetParam().run(other)) << testing::PrintToString(other);
    }
  }
}

}  // namespace
}  // namespace stylescope::fuzz
