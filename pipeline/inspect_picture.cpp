#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "io/slide.hpp"
#include "io/slide_mpp.hpp"
#include "pipeline/inspect.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace std::string_view_literals;

// Bits a sample and channels as the file says them (PNG specification, 11.2.2; ITU-T T.81, B.2.2).
Inspection stored_as(std::string_view begin) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(begin[at]); };
  if (begin.starts_with("\x89PNG"sv) && begin.size() > 25) {
    static constexpr const char* kColours[] = {"grey",           "", "RGB",          "palette",
                                               "grey and alpha", "", "RGB and alpha"};
    const int colour = byte(25);
    return {{"format", "PNG"},
            {"bits", byte(24)},
            {"colours", colour < 7 ? kColours[colour] : "unknown"}};
  }
  for (size_t at = 2;
       begin.starts_with("\xff\xd8"sv) && at + 10 < begin.size() && byte(at) == 0xff;) {
    const uint8_t marker = byte(at + 1);
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame)
      return {{"format", "JPEG"},
              {"bits", byte(at + 4)},
              {"colours", byte(at + 9) == 1   ? "grey"
                          : byte(at + 9) == 3 ? "colour"
                                              : "CMYK"}};
    at += 2 + (size_t{byte(at + 2)} << 8 | byte(at + 3));
  }
  if (begin.starts_with("\xff\xd8"sv)) return {{"format", "JPEG"}};
  if (begin.starts_with("II") || begin.starts_with("MM")) return {{"format", "TIFF"}};
  return Inspection::object();
}

}  // namespace

Inspection inspect_picture(const fs::path& file, const std::string& begin) {
  const auto pixels = read_picture(file, 3);  // whole, or a sentence
  Inspection result{{"kind", "picture"}, {"width", pixels.size(2)}, {"height", pixels.size(1)}};
  result.update(stored_as(begin));
  return result;
}

Inspection inspect_slide(const fs::path& file) {
  const auto slide = open_slide(file);
  Inspection levels = Inspection::array();
  for (const auto& level : slide->levels())
    levels.push_back({{"width", level.width},
                      {"height", level.height},
                      {"downsample", level.downsample},
                      {"tile", {level.tile_width, level.tile_height}}});
  Inspection result{{"kind", "slide"}, {"reader", to_string(slide->reader())}};
  const auto vendor = slide->properties().find("openslide.vendor");
  if (vendor != slide->properties().end()) result["vendor"] = vendor->second;
  if (const auto mpp = find_mpp(*slide, {})) {
    result["micrometres_per_pixel"] = {mpp->x, mpp->y};
    result["from"] = mpp->source;
  } else {
    result["micrometres_per_pixel"] = "not in the file; give tile.mpp_csv";
  }
  result["levels"] = levels;
  return result;
}

}  // namespace stylescope
