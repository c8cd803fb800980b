#include "tests/io/slide_fixture.hpp"

// Philips' TIFFs (Camelyon's scanners among them): described by XML, tiles of zero length where
// nothing was scanned, directories padded to whole tiles.
namespace stylescope {
namespace {

using testing_support::bare_openslide;
using testing_support::difference;
using testing_support::draw_texture;
using testing_support::pyramid;
using testing_support::read_picture_of;
using testing_support::TempDir;

std::string attribute(const std::string& name, const std::string& group, const std::string& element,
                      const std::string& type, const std::string& value) {
  return "<Attribute Name=\"" + name + "\" Group=\"" + group + "\" Element=\"" + element +
         "\" PMSVR=\"" + type + "\">" + value + "</Attribute>";
}

// `spacings`: of each level's pixels, in millimetres.
std::string description(const std::vector<std::string>& spacings) {
  std::string levels;
  for (size_t i = 0; i < spacings.size(); ++i)
    levels += "<DataObject ObjectType=\"PixelDataRepresentation\">" +
              attribute("DICOM_PIXEL_SPACING", "0x0028", "0x0030", "IDoubleArray",
                        "&quot;" + spacings[i] + "&quot; &quot;" + spacings[i] + "&quot;") +
              attribute("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", "0x1001", "0x8B02", "IUInt16",
                        std::to_string(i)) +
              "</DataObject>";
  const auto array = [](const std::string& items) { return "<Array>" + items + "</Array>"; };
  const std::string image = "<DataObject ObjectType=\"DPScannedImage\">" +
                            attribute("PIM_DP_IMAGE_TYPE", "0x301D", "0x1004", "IString", "WSI") +
                            attribute("PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE", "0x1001", "0x8B01",
                                      "IDataObjectArray", array(levels)) +
                            "</DataObject>";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><DataObject ObjectType=\"DPUfsImport\">" +
         attribute("PIM_DP_SCANNED_IMAGES", "0x301D", "0x1003", "IDataObjectArray", array(image)) +
         "</DataObject>";
}

TEST(TiffSlidePhilips, SamePixelsAsOpenslide) {
  TempDir dir;
  const auto file = dir / "a.tiff";
  auto options = pyramid(640, 448, 3);
  options.skip_empty = true;
  // The last level is padded: its directory has 160 x 112 pixels.
  options.description = description({"0.00025", "0.0005", "0.00125"});
  write_tiff_pyramid(file, options, [](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
    return x < 320 && draw_texture(x, y, w, h, rgb);
  });
  TIFF* tiff = TIFFOpen(file.c_str(), "r+");
  TIFFSetField(tiff, TIFFTAG_SOFTWARE, "Philips DP v1.0");
  TIFFRewriteDirectory(tiff);
  TIFFClose(tiff);

  const auto slide = open_slide(file, {.reader = SlideReader::direct});
  ASSERT_EQ(slide->properties().at("openslide.vendor"), "philips");
  EXPECT_EQ(slide->levels()[2].width, 128);
  EXPECT_DOUBLE_EQ(slide->levels()[2].downsample, 5);
  for (int32_t level = 0; level < 3; ++level) {
    const int64_t scale = level == 2 ? 5 : int64_t{1} << level;
    for (const int64_t x : {0, 64, 90, 300})
      EXPECT_EQ(difference(read_picture_of(*slide, level, x, 5, 300, 500),
                           bare_openslide(file, level, x * scale, 5 * scale, 300, 500)),
                "")
          << level << " " << x;
  }
}

}  // namespace
}  // namespace stylescope
