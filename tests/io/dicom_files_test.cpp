// Transfer syntaxes, damage, privacy, and the files of ../shared/data.
#include "io/dicom.hpp"
#include "io/picture.hpp"
#include "tests/io/dicom_fixture.hpp"

#include <array>
#include <cmath>
#include <map>
#include <random>
#include <set>

namespace stylescope {
namespace {

using gdcm::VR;
using testing_support::DicomFile;
using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;
using Syntax = gdcm::TransferSyntax;

constexpr uint16_t kSide = 40;

// A smooth grey picture of 12 bits, which every codec can bear.
std::vector<uint16_t> waves() {
  std::vector<uint16_t> values;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x)
      values.push_back(static_cast<uint16_t>(2048 + 1900 * std::sin(0.1 * x) * std::cos(0.07 * y)));
  return values;
}

DicomFile grey_file() { return DicomFile().grey(kSide, kSide, waves(), 12).window("2048", "4096"); }

std::string colored_waves() {
  std::string values;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x)
      for (const double phase : {0.0, 1.0, 2.0})
        values +=
            static_cast<char>(static_cast<int>(128 + 120 * std::sin(0.1 * x + 0.08 * y + phase)));
  return values;
}

double furthest(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

TEST(DicomFiles, LosslessSyntaxesGiveTheSamePicture) {
  TempDir dir;
  grey_file().write(dir / "plain");
  DicomFile().color(kSide, kSide, colored_waves()).write(dir / "plain-color");
  const auto grey = read_dicom(dir / "plain", 1), color = read_dicom(dir / "plain-color", 3);
  for (const auto syntax : {Syntax::ImplicitVRLittleEndian, Syntax::ExplicitVRBigEndian,
                            Syntax::DeflatedExplicitVRLittleEndian}) {
    grey_file().write(dir / "a", syntax);
    EXPECT_TRUE(read_dicom(dir / "a", 1).equal(grey)) << syntax;
  }
  for (const auto syntax :
       {Syntax::RLELossless, Syntax::JPEGLosslessProcess14, Syntax::JPEGLosslessProcess14_1,
        Syntax::JPEGLSLossless, Syntax::JPEG2000Lossless}) {
    grey_file().write_compressed(dir / "a", syntax);
    EXPECT_TRUE(read_dicom(dir / "a", 1).equal(grey)) << syntax;
    DicomFile().color(kSide, kSide, colored_waves()).write_compressed(dir / "c", syntax);
    EXPECT_TRUE(read_dicom(dir / "c", 3).equal(color)) << syntax;
  }
}

TEST(DicomFiles, LossySyntaxesGiveAlmostTheSamePicture) {
  TempDir dir;
  std::string bytes;
  for (const uint16_t value : waves()) bytes += static_cast<char>(value >> 4);
  auto grey = DicomFile().shape(kSide, kSide, 1, 8, 8, "MONOCHROME2").window("128", "256");
  grey.bytes(0x7fe00010, VR::OB, bytes);
  auto color = DicomFile().color(kSide, kSide, colored_waves());
  for (const auto syntax :
       {Syntax::JPEGBaselineProcess1, Syntax::JPEGLSNearLossless, Syntax::JPEG2000}) {
    for (const auto* file : {&grey, &color}) {
      file->write(dir / "plain");
      file->write_compressed(dir / "a", syntax);
      EXPECT_LE(furthest(read_dicom(dir / "a", 3), read_dicom(dir / "plain", 3)), 12) << syntax;
      EXPECT_NE(read_dicom_header(dir / "a").transfer_syntax, "Explicit VR Little Endian");
    }
  }
  grey_file().write(dir / "plain");
  grey_file().write_compressed(dir / "a", Syntax::JPEGExtendedProcess2_4);
  EXPECT_LE(furthest(read_dicom(dir / "a", 1), read_dicom(dir / "plain", 1)), 4);
}

// Marks in all that may identify a person.
constexpr const char* kMarks[] = {"MARKNAME", "MARKID",  "19010203",
                                  "MARKACC",  "MARKDOC", "MARKINST"};

DicomFile marked(DicomFile file) {
  file.text(0x00080050, VR::SH, "MARKACC").text(0x00080080, VR::LO, "MARKINST");
  file.text(0x00080090, VR::PN, "MARKDOC^ANNA").text(0x00100010, VR::PN, "MARKNAME^JOHN");
  file.text(0x00100020, VR::LO, "MARKID").text(0x00100030, VR::DA, "19010203");
  return file.text(0x00204000, VR::LT, "MARKNAME was here");
}

void expect_no_marks(const std::string& text) {
  for (const char* mark : kMarks) EXPECT_EQ(text.find(mark), std::string::npos) << text;
}

std::vector<std::filesystem::path> files_of_all_kinds(const TempDir& dir) {
  const auto grey = marked(grey_file());
  grey.write(dir / "explicit");
  grey.write(dir / "implicit", Syntax::ImplicitVRLittleEndian);
  grey.write(dir / "big", Syntax::ExplicitVRBigEndian);
  grey.write(dir / "deflated", Syntax::DeflatedExplicitVRLittleEndian);
  grey.write_compressed(dir / "rle", Syntax::RLELossless);
  grey.write_compressed(dir / "jpeg-lossless", Syntax::JPEGLosslessProcess14_1);
  grey.write_compressed(dir / "jpeg-12", Syntax::JPEGExtendedProcess2_4);
  grey.write_compressed(dir / "jpeg-ls", Syntax::JPEGLSLossless);
  grey.write_compressed(dir / "jpeg-2000", Syntax::JPEG2000Lossless);
  marked(DicomFile().color(kSide, kSide, colored_waves()))
      .write_compressed(dir / "jpeg-8", Syntax::JPEGBaselineProcess1);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
    files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

TEST(DicomFiles, EveryCutOffFileIsNoticedSilently) {
  TempDir dir;
  const auto files = files_of_all_kinds(dir);
  ASSERT_EQ(files.size(), 10U);
  ::testing::internal::CaptureStderr();
  for (const auto& file : files) {
    const std::string whole = read_text(file);
    // GDCM writes a check sum behind deflated data, which nobody misses.
    for (size_t length = 0; length + 16 < whole.size();
         length += std::max<size_t>(1, whole.size() / 61)) {
      overwrite(dir / "cut", whole.substr(0, length));
      const std::string message = error_of([&] { read_picture(dir / "cut", 1); });
      expect_sentence(message, dir / "cut", {"; "});
      expect_no_marks(message);
      if (length > 400)
        EXPECT_TRUE(message.find("cut off") != std::string::npos ||
                    message.find("without a picture") != std::string::npos)
            << file << " " << length << ": " << message;
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

// Damage anywhere in a whole file: a picture, or a sentence without anything of a person; never an
// end of the program, and nothing printed.
TEST(DicomFiles, DamageNeverCrashesNorTellsOfPeople) {
  TempDir dir;
  std::mt19937 random(1);
  int refused = 0;
  ::testing::internal::CaptureStderr();
  for (const auto& file : files_of_all_kinds(dir)) {
    const std::string whole = read_text(file);
    for (int i = 0; i < 200; ++i) {
      std::string bytes = whole;
      for (int flips = 1 + i % 4; flips > 0; --flips)
        bytes[132 + random() % (bytes.size() - 132)] ^= static_cast<char>(1 + random() % 255);
      overwrite(dir / "damaged", bytes);
      try {
        EXPECT_EQ(read_picture(dir / "damaged", 3).dim(), 3);
      } catch (const Error& error) {
        ++refused;
        expect_sentence(error.what(), dir / "damaged", {});
        expect_no_marks(error.what());
      }
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_GT(refused, 200);
}

// What GDCM says of a damaged stream stands in the sentence.
TEST(DicomFiles, WhatTheDecoderSaysIsTold) {
  TempDir dir;
  grey_file().write_compressed(dir / "a", Syntax::JPEG2000Lossless);
  std::string bytes = read_text(dir / "a");
  const size_t tile = bytes.find("\xff\x90");  // of the first tile: its number
  ASSERT_NE(tile, std::string::npos);
  bytes[tile + 4] = '\x7f';
  overwrite(dir / "a", bytes);
  expect_sentence(error_of([&] { read_dicom(dir / "a", 1); }), dir / "a",
                  {"its compressed pixels are damaged (GDCM: "});
}

TEST(DicomFiles, CompressedPixelsMustFitTheHeader) {
  TempDir dir;
  grey_file().write_compressed(dir / "a", Syntax::JPEGLSLossless);
  std::string bytes = read_text(dir / "a");
  const size_t rows = bytes.find(std::string("\x28\0\x10\0US\2\0", 8));
  ASSERT_NE(rows, std::string::npos);
  bytes[rows + 8] = 80;
  overwrite(dir / "a", bytes);
  expect_sentence(error_of([&] { read_dicom(dir / "a", 1); }), dir / "a",
                  {"announces 80 x 40 x 1 pixels", "are 40 x 40 x 1"});
  grey_file().write(dir / "b");
  bytes = read_text(dir / "b");
  const size_t place = bytes.find(std::string("1.2.840.10008.1.2.1\0", 20));
  bytes.replace(place, 20, std::string("1.2.840.10008.1.2.5\0", 20));
  overwrite(dir / "b", bytes);
  expect_sentence(error_of([&] { read_dicom(dir / "b", 1); }), dir / "b",
                  {"has no compressed pixels", "RLE Lossless"});
}

struct Expected {
  int64_t channels = 0;  // 0: refused
  int64_t rows = 0, columns = 0;
  double mean = 0;
  std::vector<int> corners;  // of the first channel: upper left, upper right, lower left, lower
                             // right, middle
  const char* sentence = "";
};

Expected refused(const char* sentence) { return {.sentence = sentence}; }

// Of every file in ../shared/data/dicom: the figures are those of pydicom 3.0 and NumPy.
const std::map<std::string, Expected>& expectations() {
  static const Expected mr{1, 64, 64, 113.066, {176, 84, 92, 169, 61}};
  static const std::map<std::string, Expected> all{
      {"JPGLosslessP14SV1_1s_1f_8b.dcm", {1, 768, 1024, 17.358, {0, 0, 0, 0, 15}}},
      {"RG1_J2KI.dcm", {1, 1955, 1841, 192.171, {95, 236, 80, 231, 227}}},
      {"RG3_J2KI.dcm", {1, 1760, 1760, 177.497, {255, 255, 255, 255, 188}}},
      {"RG3_J2KR.dcm", {1, 1760, 1760, 177.499, {255, 255, 255, 255, 188}}},
      {"bad_sequence.dcm", {1, 512, 512, 119.119, {141, 121, 0, 0, 246}}},
      {"emri_small_jpeg_2k_lossless_too_short.dcm", refused("is cut off")},
      {"CT_small.dcm", {1, 128, 128, 114.871, {2, 8, 123, 116, 255}}},
      {"ExplVR_BigEnd.dcm", {3, 60, 80, 171.577, {171, 169, 255, 255, 255}}},
      {"J2K_pixelrep_mismatch.dcm", {1, 512, 512, 63.207, {0, 0, 0, 0, 95}}},
      // The same picture; pydicom refuses the first, whose header of a scan is a wrong one.
      {"JPEG-lossy.dcm", {1, 1024, 256, 32.215, {2, 2, 2, 2, 32}}},
      {"JPGExtended.dcm", {1, 1024, 256, 32.215, {2, 2, 2, 2, 32}}},
      {"JPEG2000.dcm", {1, 1024, 256, 49.588, {19, 19, 19, 19, 35}}},
      {"JPEGLSNearLossless_16.dcm", {1, 50, 10, 46.700, {255, 255, 0, 0, 1}}},
      {"MR_small.dcm", mr},
      {"MR_small_RLE.dcm", mr},
      {"MR_small_bigendian.dcm", mr},
      {"MR_small_implicit.dcm", mr},
      {"MR_small_jp2klossless.dcm", mr},
      {"MR_small_jpeg_ls_lossless.dcm", mr},
      {"MR_truncated.dcm", refused("is cut off (64 x 64 x 1 pixels of 16 bits take 8192 bytes, and "
                                   "there are 8130)")},
      {"SC_rgb_jpeg_dcmtk.dcm", {3, 100, 100, 127.733, {254, 254, 255, 255, 125}}},
      {"SC_rgb_rle.dcm", {3, 100, 100, 127.700, {255, 255, 255, 255, 128}}},
      {"SC_rgb_rle_16bit.dcm", {3, 100, 100, 127.700, {255, 255, 255, 255, 128}}},
      {"SC_rgb_small_odd.dcm", {3, 3, 3, 128.778, {166, 166, 158, 158, 63}}},
      {"SC_ybr_full_422_uncompressed.dcm", {3, 100, 100, 127.733, {254, 254, 255, 255, 125}}},
      {"badVR.dcm", refused("does not say how many frames it holds")},
      {"examples_palette.dcm", {3, 350, 800, 20.493, {37, 37, 0, 0, 1}}},
      {"image_dfl.dcm", {1, 512, 512, 127.116, {213, 90, 115, 188, 65}}},
      {"liver_1frame.dcm", refused("1 bit (a mask, no picture)")},
      {"meta_missing_tsyntax.dcm", refused("without a picture")},
      {"no_meta.dcm", refused("is no DICOM file")},
      {"rtplan_truncated.dcm", refused("is cut off")},
      {"rtstruct.dcm", refused("without a picture (modality 'RTSTRUCT'")}};
  return all;
}

void expect_read(const std::filesystem::path& file, const Expected& expected) {
  const auto pixels = read_dicom(file, expected.channels);
  ASSERT_EQ(pixels.sizes(),
            (std::vector<int64_t>{expected.channels, expected.rows, expected.columns}));
  // The decoders of lossy JPEG differ by a grey or two.
  EXPECT_NEAR(pixels.to(torch::kFloat64).mean().item<double>(), expected.mean, 0.3) << file;
  const int64_t bottom = expected.rows - 1, right = expected.columns - 1;
  const std::array<std::array<int64_t, 2>, 5> places{{{0, 0},
                                                      {0, right},
                                                      {bottom, 0},
                                                      {bottom, right},
                                                      {expected.rows / 2, expected.columns / 2}}};
  for (size_t i = 0; i < places.size(); ++i)
    EXPECT_NEAR(pixels[0][places[i][0]][places[i][1]].item<int>(), expected.corners[i], 1)
        << file << " at " << i;
}

TEST(DicomFiles, EveryRealFileIsReadOrRefusedByName) {
  const auto data = testing_support::real_data();
  if (data.empty() || !std::filesystem::exists(data / "dicom"))
    GTEST_SKIP() << "no DICOM files: set STYLESCOPE_DATA to the folder that holds dicom/";
  std::set<std::string> seen;
  ::testing::internal::CaptureStderr();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data / "dicom")) {
    const auto& file = entry.path();
    if (file.extension() != ".dcm") continue;
    const auto known = expectations().find(file.filename().string());
    ASSERT_NE(known, expectations().end()) << file << " is new: write down what is expected of it";
    seen.insert(known->first);
    if (known->second.channels > 0)
      expect_read(file, known->second);
    else
      expect_sentence(error_of([&] { read_dicom(file, 1); }), file, {known->second.sentence, "; "});
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(seen.size(), expectations().size());
}

}  // namespace
}  // namespace stylescope
