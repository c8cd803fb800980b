#include "io/slide_mpp.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <charconv>
#include <cmath>
#include <sstream>
#include <string_view>
#include <vector>

namespace stylescope {
namespace {

constexpr double kSmallest = 0.05, kLargest = 20;

bool plausible(double mpp) { return mpp >= kSmallest && mpp <= kLargest; }

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::optional<double> property(const Slide& slide, const std::string& name) {
  const auto found = slide.properties().find(name);
  return found == slide.properties().end() ? std::nullopt : number(found->second);
}

std::optional<Mpp> from_pair(std::optional<double> x, std::optional<double> y, const char* source) {
  if (!x || !y || !plausible(*x) || !plausible(*y)) return std::nullopt;
  return Mpp{*x, *y, source};
}

std::optional<Mpp> from_resolution(const Slide& slide) {
  const auto unit = slide.properties().find("tiff.ResolutionUnit");
  if (unit == slide.properties().end()) return std::nullopt;
  const double micrometres = unit->second == "centimeter" ? 1e4
                             : unit->second == "inch"     ? 25400
                                                          : 0;
  const auto x = property(slide, "tiff.XResolution"), y = property(slide, "tiff.YResolution");
  if (micrometres == 0 || !x || !y || *x <= 0 || *y <= 0) return std::nullopt;
  return from_pair(micrometres / *x, micrometres / *y, "tiff resolution");
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\"");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\"") - first + 1);
}

std::vector<std::string_view> columns_of(std::string_view line) {
  std::vector<std::string_view> columns;
  for (size_t start = 0;;) {
    const size_t comma = line.find(',', start);
    columns.push_back(trimmed(line.substr(start, comma - start)));
    if (comma == std::string_view::npos) return columns;
    start = comma + 1;
  }
}

bool is_header(const std::vector<std::string_view>& columns) {
  using Names = std::vector<std::string_view>;
  return columns == Names{"slide", "mpp"} || columns == Names{"slide", "mpp_x", "mpp_y"};
}

}  // namespace

std::optional<Mpp> find_mpp(const Slide& slide, const std::map<std::string, Mpp>& csv) {
  if (auto mpp = from_pair(property(slide, "openslide.mpp-x"), property(slide, "openslide.mpp-y"),
                           "openslide.mpp"))
    return mpp;
  if (auto mpp = from_resolution(slide)) return mpp;
  for (const auto& name : {slide.file().filename().string(), slide.file().stem().string()})
    if (const auto found = csv.find(name); found != csv.end()) return found->second;
  return std::nullopt;
}

std::map<std::string, Mpp> read_mpp_csv(const std::filesystem::path& file) {
  std::string text = read_text(file);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // as spreadsheets write it
  std::istringstream lines(text);
  std::map<std::string, Mpp> slides;
  size_t columns = 0;
  std::string line;
  for (int64_t number_of_line = 1; std::getline(lines, line); ++number_of_line) {
    if (trimmed(line).empty()) continue;
    const std::string where = file.string() + ":" + std::to_string(number_of_line) + ": ";
    const auto cells = columns_of(line);
    if (columns == 0) {
      validate(is_header(cells), where, "the first line names other columns (", trimmed(line),
               "); write \"slide,mpp\" or \"slide,mpp_x,mpp_y\"");
      columns = cells.size();
      continue;
    }
    validate(cells.size() == columns && !cells[0].empty(), where, "has ", cells.size(),
             " columns, not ", columns, " (", trimmed(line), "); name a slide and its mpp");
    for (size_t i = 1; i < columns; ++i) {
      const auto mpp = number(cells[i]);
      validate(mpp.has_value(), where, "\"", cells[i],
               "\" is no number; write micrometres per pixel");
      validate(plausible(*mpp), where, cells[i], " is no plausible mpp (", kSmallest, " to ",
               kLargest, " micrometres per pixel); correct it");
    }
    const Mpp mpp{*number(cells[1]), *number(cells.back()), file.string()};
    validate(slides.emplace(cells[0], mpp).second, where, "names ", cells[0],
             " a second time; keep one line a slide");
  }
  validate(columns > 0, file.string(), ": is empty; write \"slide,mpp\" and a line for each slide");
  return slides;
}

}  // namespace stylescope
