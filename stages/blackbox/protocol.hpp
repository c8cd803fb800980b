#pragma once

#include "stages/blackbox/description.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The lines of docs/blackbox.md: one JSON object each, keys in the order that the document gives,
// without blanks.
namespace stylescope::protocol {

constexpr int64_t kVersion = 1;

// The first line: what will be asked. `device`: "cpu", "cuda:0".
std::string greeting(const BlackBoxDescription& description, const std::string& device, int rank);
// (n, C, H, W) bytes follow it.
std::string question(const std::vector<int64_t>& shape);
// The images lie in a file, and the scores are to be written to another.
std::string question(const std::string& images_file, const std::string& scores_file);

// A line that the program has written, or in `problem` what is wrong with it. {"error": "..."} is
// the program's own way to say that.
struct Reply {
  std::string line;  // as it came: JSON may be nested deeper than it can be printed
  nlohmann::json json;
  std::string problem;
};
Reply reply(const std::string& line);
// What is wrong with the answer to a greeting; "" where nothing is.
std::string problem_of_greeting(const Reply& reply);

// The shape (n, k) that {"scores":[n,k],"dtype":"float32"} announces, or a problem.
struct ScoresShape {
  int64_t rows = 0, columns = 0;
  std::string problem;
};
ScoresShape scores_shape(const Reply& reply);

}  // namespace stylescope::protocol
