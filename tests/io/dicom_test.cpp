#include "io/dicom.hpp"

#include "io/picture.hpp"
#include "tests/io/dicom_fixture.hpp"

#include <map>
#include <random>

namespace stylescope {
namespace {

using gdcm::VR;
using testing_support::DicomFile;
using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

// The greys of a picture of one row.
std::vector<int> greys(const DicomFile& made, const DicomOptions& options = {}) {
  TempDir dir;
  made.write(dir / "a.dcm");
  const auto pixels = read_dicom(dir / "a.dcm", 1, options).to(torch::kInt32).flatten();
  return {pixels.data_ptr<int>(), pixels.data_ptr<int>() + pixels.numel()};
}

std::vector<int> colors(const DicomFile& made) {
  TempDir dir;
  made.write(dir / "a.dcm");
  const auto pixels =
      read_dicom(dir / "a.dcm", 3).permute({1, 2, 0}).to(torch::kInt32).contiguous();
  return {pixels.data_ptr<int>(), pixels.data_ptr<int>() + pixels.numel()};
}

using Greys = std::vector<int>;

DicomFile row(const std::vector<uint16_t>& values, uint16_t stored = 16, bool is_signed = false) {
  return DicomFile().grey(1, static_cast<uint16_t>(values.size()), values, stored, is_signed);
}

// With centre 128 and width 256, LINEAR is y = x (PS3.3, C.11.2.1.2.1).
TEST(Dicom, RescaledValuesGoThroughTheWindow) {
  auto file = row({0, 50, 100, 177, 178, 900}).window("128", "256");
  EXPECT_EQ(greys(file), (Greys{0, 50, 100, 177, 178, 255}));
  file.text(0x00281053, VR::DS, "2").text(0x00281052, VR::DS, "-100");
  EXPECT_EQ(greys(file), (Greys{0, 0, 100, 254, 255, 255}));
  file.window("128\\5000", "256\\10000");  // the first of several
  EXPECT_EQ(greys(file), (Greys{0, 0, 100, 254, 255, 255}));
}

TEST(Dicom, TheOtherWindowFunctions) {
  const std::vector<uint16_t> values{0, 64, 128, 200, 256, 900};
  EXPECT_EQ(greys(row(values).window("128", "256", "LINEAR_EXACT")),
            (Greys{0, 64, 128, 199, 255, 255}));
  // 255 / (1 + exp(-4 (x - 128) / 256))
  EXPECT_EQ(greys(row(values).window("128", "256", "SIGMOID")),
            (Greys{30, 69, 128, 193, 225, 255}));
}

TEST(Dicom, WhiteIsZeroInMonochrome1) {
  auto file = row({0, 50, 255}).window("128", "256").text(0x00280004, VR::CS, "MONOCHROME1");
  EXPECT_EQ(greys(file), (Greys{255, 205, 0}));
}

TEST(Dicom, OnlyTheStoredBitsCount) {
  // -5, 7 and -2048 of 12 bits; the upper four hold something else.
  auto file =
      row({0x5ffb, 0xf007, 0x0800}, 12, true).text(0x00281052, VR::DS, "10").window("128", "256");
  EXPECT_EQ(greys(file), (Greys{5, 17, 0}));
  auto upper = row({5 << 4 | 9, 200 << 4}, 12).words(0x00280102, {15}).window("128", "256");
  EXPECT_EQ(greys(upper), (Greys{5, 200}));
}

TEST(Dicom, WithoutAWindowPercentilesAreStretchedAndPaddingIsLeftOut) {
  std::vector<uint16_t> values;
  for (uint16_t i = 0; i < 99; ++i) values.push_back(i);
  values.push_back(5000);
  auto file = row(values).words(0x00280120, {5000});
  // Of 0 to 98: from 0.49 to 97.51.
  auto shown = greys(file);
  EXPECT_EQ(shown[20], 51);
  EXPECT_EQ(shown[98], 255);
  EXPECT_EQ(shown[99], 0);
  shown = greys(file, {.stretch = "full"});
  EXPECT_EQ(shown[20], 52);
  EXPECT_EQ(shown[99], 0);
  file.text(0x00280004, VR::CS, "MONOCHROME1");
  shown = greys(file);
  EXPECT_EQ(shown[20], 204);
  EXPECT_EQ(shown[99], 0) << "padding is black in every picture";
  // A range of padding.
  EXPECT_EQ(greys(row({10, 20, 30, 40, 50}).words(0x00280120, {40}).words(0x00280121, {50}),
                  {.stretch = "full"}),
            (Greys{0, 128, 255, 0, 0}));
  // A window in the file, and percentiles asked for.
  file = row({0, 10, 20}).window("1000", "10");
  EXPECT_EQ(greys(file, {.stretch = "percentile", .low = 0, .high = 100}), (Greys{0, 128, 255}));
  EXPECT_EQ(greys(file), (Greys{0, 0, 0}));
  // A window without width is none; a flat picture is black.
  EXPECT_EQ(greys(row({0, 10, 20}).window("1000", "0"), {.low = 0, .high = 100}),
            (Greys{0, 128, 255}));
  EXPECT_EQ(greys(row({7, 7})), (Greys{0, 0}));
}

TEST(Dicom, Tables) {
  // Values 10 to 13 become 0, 50, 100, 200; what lies outside, the ends.
  const auto modality =
      DicomFile::item().words(0x00283002, {4, 10, 16}).words(0x00283006, {0, 50, 100, 200});
  auto file = row({0, 11, 12, 99}).sequence(0x00283000, modality).window("128", "256");
  EXPECT_EQ(greys(file), (Greys{0, 50, 100, 200}));
  // A VOI table comes before the window; 4095 is the white of 12 bits.
  const auto voi =
      DicomFile::item().words(0x00283002, {3, 0, 12}).words(0x00283006, {0, 2048, 4095});
  EXPECT_EQ(greys(row({0, 1, 2, 3}).sequence(0x00283010, voi).window("128", "256")),
            (Greys{0, 128, 255, 255}));
  // Its first value may be negative.
  const auto below =
      DicomFile::item().words(0x00283002, {3, 0xffff, 8}).words(0x00283006, {0, 128, 255});
  EXPECT_EQ(greys(row({0xffff, 0, 1}, 16, true).sequence(0x00283010, below)), (Greys{0, 128, 255}));
}

// An enhanced object of one frame keeps its window in the functional groups.
TEST(Dicom, FunctionalGroups) {
  const auto voi = DicomFile::item().window("128", "256");
  const auto rescale =
      DicomFile::item().text(0x00281052, VR::DS, "100").text(0x00281053, VR::DS, "1");
  const auto side = DicomFile::item().text(0x00209072, VR::CS, "R");
  auto groups = DicomFile::item();
  groups.sequence(0x00289132, voi).sequence(0x00289145, rescale).sequence(0x00209071, side);
  const auto file = row({0, 50, 100}).sequence(0x52009229, groups);
  EXPECT_EQ(greys(file), (Greys{100, 150, 200}));
  TempDir dir;
  file.write(dir / "a");
  EXPECT_EQ(read_dicom_header(dir / "a").laterality, "R");
}

TEST(Dicom, ColorsOfEveryKind) {
  const std::string rgb("\xff\x80\x01\x0a\x14\x1e", 6);
  EXPECT_EQ(colors(DicomFile().color(1, 2, rgb)), (Greys{255, 128, 1, 10, 20, 30}));
  const std::string planes("\xff\x0a\x80\x14\x01\x1e", 6);
  EXPECT_EQ(colors(DicomFile().color(1, 2, planes).words(0x00280006, {1})),
            (Greys{255, 128, 1, 10, 20, 30}));
  // Red and blue (76.245, 84.97, 255.5 and 29.07, 255.5, 107.27, rounded and clipped).
  const std::string full("\x4c\x55\xff\x1d\xff\x6b", 6);
  EXPECT_EQ(colors(DicomFile().color(1, 2, full, "YBR_FULL")), (Greys{254, 0, 0, 0, 0, 254}));
  // Two pixels share their colour: Y 76 and 150.
  const std::string pair("\x4c\x96\x55\xff", 4);
  EXPECT_EQ(colors(DicomFile().color(1, 2, pair, "YBR_FULL_422")), (Greys{254, 0, 0, 255, 74, 74}));
  // Black and white of BT.601's narrow range.
  const std::string narrow("\x10\xeb\x80\x80", 4);
  EXPECT_EQ(colors(DicomFile().color(1, 2, narrow, "YBR_PARTIAL_422")),
            (Greys{0, 0, 0, 255, 255, 255}));
  auto deep = DicomFile().shape(1, 1, 3, 16, 16, "RGB");
  deep.words(0x00280006, {0}).words(0x7fe00010, {65535, 32768, 0}, VR::OW);
  EXPECT_EQ(colors(deep), (Greys{255, 128, 0}));
}

TEST(Dicom, Palettes) {
  auto file = DicomFile().shape(1, 4, 1, 8, 8, "PALETTE COLOR");
  file.bytes(0x7fe00010, VR::OB, std::string("\0\1\2\3", 4));
  // White is ff00, as in many files; red from 1 on.
  for (const uint32_t color : {0, 1, 2}) file.words(0x00281101 + color, {3, 1, 16});
  file.words(0x00281201, {0xff00, 0x8000, 0}, VR::OW);
  file.words(0x00281202, {0, 0x4000, 0}, VR::OW).words(0x00281203, {0, 0, 0xff00}, VR::OW);
  EXPECT_EQ(colors(file), (Greys{255, 0, 0, 255, 0, 0, 128, 64, 0, 0, 0, 255}));
  // 8 bits, two entries a word.
  for (const uint32_t color : {0, 1, 2}) file.words(0x00281101 + color, {4, 0, 8});
  for (const uint32_t color : {0, 1, 2})
    file.bytes(0x00281201 + color, VR::OW, std::string("\x0a\x14\x1e\xff", 4));
  EXPECT_EQ(colors(file), (Greys{10, 10, 10, 20, 20, 20, 30, 30, 30, 255, 255, 255}));
  // Said to be of 8 bits, and filled with 16.
  for (const uint32_t color : {0, 1, 2})
    file.words(0x00281201 + color, {0, 0x0a0a, 0x8080, 0xffff}, VR::OW);
  EXPECT_EQ(colors(file), (Greys{0, 0, 0, 10, 10, 10, 128, 128, 128, 255, 255, 255}));
  // Segments: 1 entry; 2 steps to a value; the second segment again, at byte 6.
  for (const uint32_t color : {0, 1, 2}) {
    file.words(0x00281101 + color, {5, 0, 16}).without(0x00281201 + color);
    file.words(0x00281221 + color, {0, 1, 0, 1, 2, 0x8000, 2, 1, 6, 0}, VR::OW);
  }
  EXPECT_EQ(colors(file), (Greys{0, 0, 0, 64, 64, 64, 128, 128, 128, 128, 128, 128}));
}

TEST(Dicom, GreyOfColorIsThatOfOtherPictures) {
  TempDir dir;
  std::string rgb;
  std::mt19937 random(1);
  for (int i = 0; i < 3 * 64 * 64; ++i) rgb += static_cast<char>(random() % 256);
  DicomFile().color(64, 64, rgb).write(dir / "a.dcm");
  const auto whole = read_picture(dir / "a.dcm", 3);
  write_png(dir / "a.png", whole);
  EXPECT_TRUE(read_picture(dir / "a.png", 1).equal(read_picture(dir / "a.dcm", 1)));
  EXPECT_EQ(static_cast<uint8_t>(rgb[0]), whole[0][0][0].item<int>());
  row({0, 50, 100}).window("128", "256").write(dir / "grey.dcm");
  const auto grey = read_picture(dir / "grey.dcm", 3);
  EXPECT_EQ(grey.sizes(), (std::vector<int64_t>{3, 1, 3}));
  EXPECT_TRUE(grey[2].equal(read_picture(dir / "grey.dcm", 1)[0]));
}

TEST(Dicom, Header) {
  TempDir dir;
  auto file = row({0, 50, 100}, 12);
  file.text(0x00100020, VR::LO, "OAI-9001").text(0x00080020, VR::DA, "20040131");
  file.text(0x00080060, VR::CS, "DX").text(0x00180015, VR::CS, "KNEE");
  file.text(0x00200062, VR::CS, "L");
  for (const auto syntax :
       {gdcm::TransferSyntax::ImplicitVRLittleEndian, gdcm::TransferSyntax::ExplicitVRBigEndian,
        gdcm::TransferSyntax::DeflatedExplicitVRLittleEndian}) {
    file.write(dir / "a", syntax);
    const auto header = read_dicom_header(dir / "a");
    EXPECT_EQ(header.patient_id, "OAI-9001");
    EXPECT_EQ(header.study_date, "20040131");
    EXPECT_EQ(header.laterality, "L");
    EXPECT_EQ(header.modality, "DX");
    EXPECT_EQ(header.body_part, "KNEE");
    EXPECT_EQ(header.photometric, "MONOCHROME2");
    EXPECT_EQ(header.rows, 1);
    EXPECT_EQ(header.columns, 3);
    EXPECT_EQ(header.frames, 1);
    EXPECT_EQ(header.bits_stored, 12);
  }
  EXPECT_EQ(read_dicom_header(dir / "a").transfer_syntax, "Deflated Explicit VR Little Endian");
  const auto side = [&](uint32_t tag, const std::string& value) {
    row({0, 1}).text(tag, VR::CS, value).write(dir / "side");
    return read_dicom_header(dir / "side").laterality;
  };
  EXPECT_EQ(side(0x00200060, "R"), "R");
  EXPECT_EQ(side(0x00200060, "B"), "");
  EXPECT_EQ(side(0x00185101, "RMLO"), "R");
  EXPECT_EQ(side(0x00185101, "LL"), "") << "a left lateral projection is no left side";
  // Pixels may be missing, and more than the usual header may stand ahead of them.
  row({0, 1}).bytes(0x00091010, VR::OB, std::string(1 << 20, 'x')).write(dir / "long");
  const auto size = std::filesystem::file_size(dir / "long");
  EXPECT_EQ(read_dicom_header(dir / "long").columns, 2);
  std::filesystem::resize_file(dir / "long", size - 4);
  EXPECT_EQ(read_dicom_header(dir / "long").columns, 2);
  // A sequence whose item ends within an element.
  DicomFile()
      .grey(1, 2, {1, 2})
      .bytes(0x52009229, VR::UN, std::string("\xfe\xff\0\xe0\4\0\0\0abcd", 12))
      .write(dir / "cut");
  expect_sentence(error_of([&] { read_dicom_header(dir / "cut"); }), dir / "cut", {"is cut off"});
  expect_sentence(error_of([&] { read_dicom_header(dir / "gone"); }), dir / "gone",
                  {"check the path"});
}

TEST(Dicom, IsToldByItsBytes) {
  TempDir dir;
  const auto file = row({0, 50, 100}).window("128", "256");
  file.write(dir / "picture.png");
  EXPECT_TRUE(is_dicom(dir / "picture.png"));
  EXPECT_EQ(read_picture(dir / "picture.png", 1)[0][0][1].item<int>(), 50);
  for (const auto syntax :
       {gdcm::TransferSyntax::ImplicitVRLittleEndian, gdcm::TransferSyntax::ExplicitVRLittleEndian,
        gdcm::TransferSyntax::ExplicitVRBigEndian}) {
    file.write(dir / "a", syntax);
    // The data set alone: it begins with the SOP class.
    const std::string bytes = read_text(dir / "a");
    const std::string first = syntax == gdcm::TransferSyntax::ExplicitVRBigEndian
                                  ? std::string("\0\x08\0\x16", 4)
                                  : std::string("\x08\0\x16\0", 4);
    overwrite(dir / "bare", bytes.substr(bytes.find(first)));
    EXPECT_TRUE(is_dicom(dir / "bare"));
    EXPECT_EQ(read_picture(dir / "bare", 1)[0][0][1].item<int>(), 50);
  }
  write_png(dir / "a.dcm", torch::zeros({1, 20, 20}, torch::kUInt8));
  EXPECT_FALSE(is_dicom(dir / "a.dcm"));
  EXPECT_EQ(read_picture(dir / "a.dcm", 1).size(1), 20);
  for (const std::string& bytes : {std::string(), std::string("DICM"), std::string(500, '\0'),
                                   std::string("\x08\0", 2) + std::string(200, 'x')}) {
    overwrite(dir / "none.dcm", bytes);
    EXPECT_FALSE(is_dicom(dir / "none.dcm")) << bytes.size();
    expect_sentence(error_of([&] { read_dicom(dir / "none.dcm", 1); }), dir / "none.dcm", {"; "});
  }
  EXPECT_FALSE(is_dicom(dir / "gone"));
  EXPECT_FALSE(is_dicom(dir.path()));
}

TEST(Dicom, WhatIsNoPictureIsRefusedBySentence) {
  TempDir dir;
  const auto refused = [&](const DicomFile& made, const std::vector<std::string>& parts) {
    made.write(dir / "a.dcm");
    const std::string message = error_of([&] { read_dicom(dir / "a.dcm", 1); });
    expect_sentence(message, dir / "a.dcm", parts);
    expect_sentence(message, dir / "a.dcm", {"; "});
  };
  const auto two = row({1, 2});
  refused(DicomFile().text(0x00080060, VR::CS, "SR"), {"without a picture", "modality 'SR'"});
  refused(row({}), {"without a picture", "1 rows, 0 columns"});
  refused(DicomFile(two).text(0x00280008, VR::IS, "3"), {"holds 3 frames", "a picture has one"});
  refused(DicomFile(two).text(0x00280008, VR::IS, "1A"), {"does not say how many frames"});
  refused(DicomFile(two).words(0x00280010, {2}), {"is cut off", "take 8 bytes, and there are 4"});
  refused(DicomFile(two).words(0x00280011, {1}), {"4 bytes of pixels", "one frame"});
  refused(DicomFile(two).words(0x00280100, {1}), {"1 bit (a mask"});
  refused(DicomFile(two).words(0x00280100, {12}), {"pixels of 12 bits"});
  refused(DicomFile(two).words(0x00280102, {3}), {"16 bits up to bit 3"});
  refused(DicomFile(two).text(0x00280004, VR::CS, "ARGB"), {"photometric interpretation 'ARGB'"});
  refused(DicomFile(two).text(0x00280004, VR::CS, "RGB"), {"'RGB' with 1 samples"});
  refused(DicomFile(two).text(0x00281053, VR::DS, "0"), {"rescale slope of 0"});
  refused(DicomFile(two).window("much", "2"), {"window centre is no number"});
  refused(DicomFile(two).text(0x00280004, VR::CS, "PALETTE COLOR"), {"palette is cut off"});
  refused(DicomFile(two).sequence(0x00283010, DicomFile::item().words(0x00283002, {9, 0, 16})),
          {"VOI table is cut off", "0 of 9 entries"});
  refused(DicomFile().color(1, 1, "abc", "YBR_FULL_422"), {"1 columns"});
  auto real = DicomFile().shape(1, 1, 1, 32, 32, "MONOCHROME2");
  refused(real.bytes(0x7fe00008, VR::OF, "abcd"), {"floating-point"});
  two.write(dir / "a.dcm", gdcm::TransferSyntax::MPEG2MainProfile);
  expect_sentence(
      error_of([&] { read_dicom(dir / "a.dcm", 1); }), dir / "a.dcm",
      {"transfer syntax MPEG2 Main Profile / Main Level, which is not read", "gdcmconv"});
}

}  // namespace
}  // namespace stylescope
