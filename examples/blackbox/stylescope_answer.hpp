#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

// The program's side of stylescope's protocol for a classifier that is a program
// (docs/blackbox.md). Copy this file beside your program; it needs nothing but standard C++17, on a
// little-endian machine.
namespace stylescope_answer {

struct Batch {
  int64_t n = 0, channels = 0, height = 0, width = 0;
  std::vector<uint8_t> bytes;  // n images, each a plane a channel, each row by row
  const uint8_t* image(int64_t i) const {
    return bytes.data() + static_cast<size_t>(i * channels * height * width);
  }
};
// n rows, one number a class.
using Scores = std::vector<std::vector<float>>;

// Answers batches of images until standard input ends; returns what main() should. Anything else
// that the program says belongs on std::cerr: std::cout is for the answers.
inline int answer_batches(const std::function<Scores(const Batch&)>& scores) {
  std::ios::sync_with_stdio(false);
  std::string line;
  if (!std::getline(std::cin, line) ||
      line.rfind("{\"stylescope\":1,\"transport\":\"pipe\"", 0) != 0) {
    std::cerr << "this program speaks version 1, through pipes, and was told " << line << "\n";
    return 1;
  }
  std::cout << "{\"stylescope\":1}\n" << std::flush;
  while (std::getline(std::cin, line)) {
    Batch batch;
    long long n = 0, c = 0, h = 0, w = 0;
    if (std::sscanf(line.c_str(), "{\"images\":[%lld,%lld,%lld,%lld]", &n, &c, &h, &w) != 4) {
      std::cerr << "this is no batch of images: " << line << "\n";
      return 1;
    }
    batch.n = n, batch.channels = c, batch.height = h, batch.width = w;
    batch.bytes.resize(static_cast<size_t>(n * c * h * w));
    std::cin.read(reinterpret_cast<char*>(batch.bytes.data()),
                  static_cast<std::streamsize>(batch.bytes.size()));
    if (!std::cin) return 1;  // cut off in the middle of a batch
    const auto rows = scores(batch);
    std::cout << "{\"scores\":[" << rows.size() << "," << (rows.empty() ? 0 : rows[0].size())
              << "],\"dtype\":\"float32\"}\n";
    for (const auto& row : rows)
      std::cout.write(reinterpret_cast<const char*>(row.data()),
                      static_cast<std::streamsize>(row.size() * sizeof(float)));
    std::cout << std::flush;
  }
  return 0;
}

}  // namespace stylescope_answer
