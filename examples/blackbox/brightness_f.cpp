// The smallest f: the brighter an image is on average, the more it is of the second class.
//
//   g++ -std=c++17 -O2 brightness_f.cpp -o brightness_f
//   classifier: {kind: command, command: [./brightness_f]}
#include "stylescope_answer.hpp"

#include <cmath>
#include <numeric>

int main() {
  return stylescope_answer::answer_batches([](const stylescope_answer::Batch& batch) {
    stylescope_answer::Scores rows;
    const int64_t pixels = batch.channels * batch.height * batch.width;
    for (int64_t i = 0; i < batch.n; ++i) {
      const auto* image = batch.image(i);
      const auto sum = std::accumulate(image, image + pixels, int64_t{0});
      const double mean = static_cast<double>(sum) / static_cast<double>(pixels);
      const double p = 1 / (1 + std::exp(-(mean - 128) / 16));
      rows.push_back({static_cast<float>(1 - p), static_cast<float>(p)});
    }
    return rows;
  });
}
