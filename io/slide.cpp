#include "io/slide.hpp"

#include "io/base/error.hpp"
#include "io/first_bytes.hpp"
#include "io/log.hpp"
#include "io/lower_case.hpp"
#include "io/openslide_reader.hpp"
#include "io/tiff_slide.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// Where a TIFF's first directory is; nothing when the bytes are no TIFF header. A file whose copy
// was cut off is best known by a directory beyond its end.
std::optional<uint64_t> tiff_directory(std::string_view head) {
  if (head.size() < 8) return std::nullopt;
  const bool little = head.starts_with("II"), big = head.starts_with("MM");
  if (!little && !big) return std::nullopt;
  const auto number = [&](size_t at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i)
      value |= uint64_t{static_cast<uint8_t>(head[at + i])} << 8 * (little ? i : bytes - 1 - i);
    return value;
  };
  if (number(2, 2) == 42) return number(4, 4);
  if (number(2, 2) == 43 && head.size() >= 16) return number(8, 8);
  return std::nullopt;
}

void check_file(const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(file, error);
  validate(fs::exists(status), file.string(), ": is not there; check the path");
  validate(fs::is_regular_file(status), file.string(), ": is no file; name the slide's file");
  const auto size = fs::file_size(file, error);
  validate(!error, file.string(), ": cannot be read (", error.message(), ")");
  validate(size > 0, file.string(), ": is empty (0 bytes); copy or download it again");
  const std::string head = first_bytes(file, 16);
  validate(!head.empty(), file.string(), ": cannot be read; check its permissions and the disk");
  const auto directory = tiff_directory(head);
  validate(!directory || *directory < size, file.string(), ": is cut off (", size,
           " bytes are there, and its directory is at byte ", directory.value_or(0),
           "); copy or download it again");
}

}  // namespace

std::string to_string(SlideReader reader) {
  switch (reader) {
    case SlideReader::automatic:
      return "automatic";
    case SlideReader::openslide:
      return "openslide";
    case SlideReader::direct:
      return "direct";
  }
  SS_CHECK(false, static_cast<int>(reader));
}

std::unique_ptr<Slide> open_slide(const fs::path& file, const SlideOptions& options) {
  check_file(file);
  auto truth = std::make_unique<OpenslideReader>(file);
  if (options.reader == SlideReader::openslide) return truth;
  std::string why_not;
  if (auto slide = open_tiff_slide(*truth, options, why_not)) return slide;
  validate(options.reader != SlideReader::direct, file.string(), ": cannot be read directly (",
           why_not, "); use the reader openslide or automatic");
  log::debug("{}: read by OpenSlide ({})", file.string(), why_not);
  return truth;
}

bool is_slide_name(const fs::path& file) {
  constexpr std::array<std::string_view, 10> kEndings{".svs", ".tif", ".tiff", ".ndpi",    ".vms",
                                                      ".vmu", ".scn", ".mrxs", ".svslide", ".bif"};
  std::error_code error;
  if (std::ranges::find(kEndings, lower_ending(file)) == kEndings.end() ||
      !fs::is_regular_file(file, error))
    return false;
  // What macOS leaves beside files on foreign disks ("._a.svs").
  return first_bytes(file, 4) != std::string_view("\x00\x05\x16\x07", 4);
}

int64_t best_level(const Slide& slide, double downsample) {
  constexpr double kTolerance = 1.001;
  int64_t best = 0;
  double coarsest = 0;
  for (int64_t i = 0; i < std::ssize(slide.levels()); ++i) {
    const double own = slide.levels()[static_cast<size_t>(i)].downsample;
    if (own <= downsample * kTolerance && own > coarsest) {
      best = i;
      coarsest = own;
    }
  }
  return best;
}

}  // namespace stylescope
