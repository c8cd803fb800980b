#include "stages/ingest/knee_side.hpp"

#include "io/base/error.hpp"
#include "io/csv.hpp"
#include "io/lower_case.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/ingest/field_number.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

int64_t pixels_of(const CsvRow& row, const std::string& column, const std::string& place) {
  const auto value = number_in(row[column]);
  validate(value && std::abs(*value) < 1e9, place, ": ", column, " '", row[column],
           "' is no number of pixels; correct it");
  return std::llround(*value);
}

// What a person's codes of a side may be: "1" and "1.0" are the same.
bool is_code(const std::string& code, const std::string& configured) {
  return !configured.empty() && (code == configured || code == configured + ".0");
}

}  // namespace

std::string to_string(Side side) { return side == Side::left ? "L" : "R"; }

double side_value(std::optional<Side> side) {
  return side ? static_cast<double>(*side) : std::numeric_limits<double>::quiet_NaN();
}
std::vector<std::string> side_values() { return {to_string(Side::left), to_string(Side::right)}; }

std::string code_of(const std::string& field) {
  if (field.starts_with('.')) return {};
  const size_t colon = field.find(':');
  const bool coded = colon != std::string::npos && colon > 0 &&
                     std::all_of(field.begin(), field.begin() + static_cast<std::ptrdiff_t>(colon),
                                 [](unsigned char c) { return std::isdigit(c) != 0; });
  return coded ? field.substr(0, colon) : field;
}

std::optional<Side> side_from(const std::string& field, const KneesConfig& config) {
  const std::string code = code_of(field);
  if (is_code(code, config.right_code)) return Side::right;
  if (is_code(code, config.left_code)) return Side::left;
  const auto lower = lower_case(code);
  if (lower == "r" || lower == "right") return Side::right;
  if (lower == "l" || lower == "left") return Side::left;
  return std::nullopt;
}

std::optional<Side> side_in_name(const fs::path& file, const KneesConfig& config) {
  if (config.side_regex.empty()) return std::nullopt;
  return side_from(subject_of(file.filename().string(), config.side_regex), config);
}

std::map<std::string, FilmBoxes> read_boxes(const KneesConfig& config) {
  const auto table = read_csv(config.boxes, {"path", "side", "x", "y", "width", "height"}, {},
                              {.separator = 0, .whole_rows = true});
  std::map<std::string, FilmBoxes> boxes;
  for (const auto& row : table.rows) {
    const std::string place = detail::concatenate(config.boxes, ":", row.line);
    const auto side = side_from(row["side"], config);
    validate(side.has_value(), place, ": side '", row["side"],
             "' is neither L nor R; correct it, or set ingest.knees.right_code and left_code");
    const KneeBox box{pixels_of(row, "x", place), pixels_of(row, "y", place),
                      pixels_of(row, "width", place), pixels_of(row, "height", place), place};
    validate(box.width > 0 && box.height > 0 && box.x >= 0 && box.y >= 0, place, ": the box ",
             box.width, " x ", box.height, " at (", box.x, ", ", box.y,
             ") has no area, or begins outside of the film; correct it");
    const auto [known, is_new] =
        boxes[fs::path(row["path"]).lexically_normal().string()].emplace(*side, box);
    validate(is_new, place, ": is a second box for the same knee as ", known->second.place,
             "; take one away");
  }
  return boxes;
}

torch::Tensor knee_of(const torch::Tensor& film, const std::string& file, std::optional<Side> side,
                      const std::optional<KneeBox>& box, const KneesConfig& config) {
  const int64_t height = film.size(1), width = film.size(2);
  torch::Tensor knee = film;
  if (box) {
    validate(box->x + box->width <= width && box->y + box->height <= height, file, ": the box ",
             box->width, " x ", box->height, " at (", box->x, ", ", box->y, ") of ", box->place,
             " does not lie in the picture, which is ", width, " x ", height, "; correct the box");
    knee = film.narrow(1, box->y, box->height).narrow(2, box->x, box->width);
  } else if (side && config.bilateral == "split") {
    validate(width > 1, file, ": is one pixel wide, so that there are no halves; check the file");
    const bool on_left = (*side == Side::right) == (config.image_left == "right");
    knee = film.narrow(2, on_left ? 0 : width - width / 2, width / 2);
  }
  const bool mirrored = side && config.mirror == (*side == Side::left ? "left" : "right");
  return mirrored ? knee.flip(2) : knee.contiguous();
}

}  // namespace stylescope
