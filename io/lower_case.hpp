#pragma once

#include <filesystem>
#include <string>

// How names are compared that people write in either case: file endings, codes in tables.
namespace stylescope {

// ASCII letters alone; other bytes stay.
inline std::string lower_case(std::string text) {
  for (auto& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// ".TIF" of "slides/a.TIF" as ".tif".
inline std::string lower_ending(const std::filesystem::path& file) {
  return lower_case(file.extension().string());
}

}  // namespace stylescope
