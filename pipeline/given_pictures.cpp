#include "pipeline/given_pictures.hpp"

#include "io/base/error.hpp"
#include "io/base/split.hpp"
#include "io/picture.hpp"
#include "stages/ingest/picture_facts.hpp"

#include <array>
#include <charconv>

namespace stylescope {
namespace {

constexpr int64_t kMostPixels = 1'000'000'000;  // along an edge

KneeBox box_from(const std::string& text) {
  std::array<int64_t, 4> numbers{};
  const auto parts = split(text, ',');
  bool good = parts.size() == numbers.size();
  for (size_t i = 0; good && i < parts.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    const auto [stop, error] = std::from_chars(parts[i].data(), end, numbers[i]);
    good = error == std::errc{} && stop == end && numbers[i] >= (i < 2 ? 0 : 1) &&
           numbers[i] <= kMostPixels;
  }
  if (!good)
    throw UsageError("--box " + text +
                     ": is no box; give four whole numbers of pixels: --box X,Y,WIDTH,HEIGHT");
  return {numbers[0], numbers[1], numbers[2], numbers[3], "--box"};
}

}  // namespace

GivenPictures::GivenPictures(const Config& config, const PictureOptions& options,
                             const PictureSettings& settings)
    : settings_(settings) {
  if (config.images == "ingest") knees_ = config.ingest.knees;
  if (!options.box.empty()) box_ = box_from(options.box);
  if (options.side.empty()) return;
  if (!knees_.cuts() && !knees_.mirrors())
    throw UsageError("--side " + options.side +
                     ": this run neither cuts films nor mirrors knees (ingest.knees), so a side "
                     "changes nothing; leave it out");
  side_ = options.side == "L" ? Side::left : Side::right;
}

GivenImage GivenPictures::of(const std::string& file) const {
  GivenImage given = given_picture(file, settings_);
  given.read = [file, *this](int64_t channels) {
    auto side = side_;
    const bool wanted = knees_.mirrors() && !knees_.cuts();
    if (!side && wanted) side = side_in_name(file, knees_);
    if (!side && wanted) side = side_from(picture_facts({file}, 1).front().laterality, knees_);
    return knee_of(read_picture(file, channels, settings_), file, side, box_, knees_);
  };
  return given;
}

std::string GivenPictures::assumption() const {
  if (side_ || (!knees_.cuts() && !knees_.mirrors())) return {};
  std::string text = "no --side is given: ";
  if (knees_.cuts())
    text += box_ ? "the box is taken" : "each picture is taken for one knee, already cut out";
  else
    text += std::string("each picture without a side in its ") +
            (knees_.side_regex.empty() ? "" : "name (ingest.knees.side_regex) or ") +
            "DICOM header is taken";
  if (knees_.mirrors())
    text += std::string(", of a ") + (knees_.mirror == "left" ? "right" : "left") +
            " knee (the run mirrored " + knees_.mirror + " ones)";
  return text + "; --side L or R says which knee it is";
}

}  // namespace stylescope
