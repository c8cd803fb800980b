#pragma once

#include "stages/ingest/table_config.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

// Left and right knees: told apart, cut out of a film that shows both, mirrored.
namespace stylescope {

enum class Side { left, right };
std::string to_string(Side side);  // "L", "R"
// As an attribute of an image: the row of its text in side_values(); NaN: unknown.
double side_value(std::optional<Side> side);
std::vector<std::string> side_values();

// What of a coded field is its code: "1" of "1: Right", as OAI's files have it; "" of a missing
// one: ".", ".A", ".: Missing". Other texts as they are.
std::string code_of(const std::string& field);

// L, R, left, right in any case, and the configured codes. Nothing: none of them.
std::optional<Side> side_from(const std::string& field, const KneesConfig& config);
// By side_regex; nothing where it is empty, does not match, or matches something else.
std::optional<Side> side_in_name(const std::filesystem::path& file, const KneesConfig& config);

// Of a knee on its film, in pixels.
struct KneeBox {
  int64_t x = 0, y = 0, width = 0, height = 0;
  std::string place;  // "boxes.csv:7"
};
using FilmBoxes = std::map<Side, KneeBox>;
// By the picture's path as that table has it, normalised. Throws Error with file and line: a
// missing column, an unknown side, no number, no area, two boxes for one knee.
std::map<std::string, FilmBoxes> read_boxes(const KneesConfig& config);

// The knee of a film, (C, H, W): cut by the box, or else, where the configuration says split, the
// half of its side (of an odd width without the middle column); mirrored where its side is to be.
// Without a side nothing is cut by halves, and nothing mirrored. Throws Error "FILE: ..." when the
// box does not lie in the film.
torch::Tensor knee_of(const torch::Tensor& film, const std::string& file, std::optional<Side> side,
                      const std::optional<KneeBox>& box, const KneesConfig& config);

}  // namespace stylescope
