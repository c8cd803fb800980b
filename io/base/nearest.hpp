#pragma once

#include <algorithm>
#include <string>
#include <vector>

// "Did you mean": the nearest of the valid names, for messages.
namespace stylescope {

// Levenshtein distance.
inline size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

// The nearest name, or "" when none is near (further than half the length of what was written).
inline std::string nearest(const std::string& written, const std::vector<std::string>& valid) {
  std::string best;
  size_t best_distance = written.size() / 2 + 1;
  for (const auto& name : valid) {
    const size_t distance = edit_distance(written, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

// "; did you mean 'x'?" or "".
inline std::string suggestion(const std::string& written, const std::vector<std::string>& valid) {
  const std::string name = nearest(written, valid);
  return name.empty() ? "" : "; did you mean '" + name + "'?";
}

}  // namespace stylescope
