#include "io/pcam_file.hpp"

#include "io/hdf5_file.hpp"
#include "tests/io/faults.hpp"

#include <array>

#include <hdf5.h>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

constexpr int64_t kImages = 300;  // more than a block of the reader

// Channel c of image i at (row, column).
uint8_t pixel(int64_t i, int64_t c, int64_t row, int64_t column) {
  return static_cast<uint8_t>(7 * i + 31 * c + 3 * row + column);
}
int64_t label(int64_t i) { return i % 3 == 0 ? 1 : 0; }

class Pcam : public testing::Test {
 protected:
  std::filesystem::path name(const std::string& part) const {
    return dir_ / ("camelyonpatch_level_2_split_valid_" + part);
  }
  void write(const std::string& part, const char* data, const torch::Tensor& values) const {
    hdf5::File out = hdf5::File::create(name(part), "");
    out.write(data, values);
    out.close();
  }
  void write_images(int64_t count) const {
    torch::Tensor x = torch::empty({count, 96, 96, 3}, torch::kUInt8);
    uint8_t* to = x.data_ptr<uint8_t>();
    for (int64_t i = 0; i < count; ++i)
      for (int64_t row = 0; row < 96; ++row)
        for (int64_t column = 0; column < 96; ++column)
          for (int64_t c = 0; c < 3; ++c) *to++ = pixel(i, c, row, column);
    write("x.h5", "x", x);
  }
  void write_labels(int64_t count) const {
    torch::Tensor y = torch::empty({count, 1, 1, 1}, torch::kUInt8);
    for (int64_t i = 0; i < count; ++i) y.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(label(i));
    write("y.h5", "y", y);
  }
  void write_csv(int64_t count, const std::string& ending = "\n") const {
    std::string text = ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi" + ending;
    for (int64_t i = 0; i < count; ++i)
      text += std::to_string(i) + "," + std::to_string(1000 + i) + "," + std::to_string(50 * i) +
              ",True,False,camelyon16_train_tumor_00" + std::to_string(i % 7) + ending;
    overwrite(name("meta.csv"), text);
  }
  std::string error() const {
    return error_of([&] { PcamFile(dir_.path(), "valid"); });
  }
  TempDir dir_;
};

TEST_F(Pcam, ImagesLabelsAndSlides) {
  write_images(kImages);
  write_labels(kImages);
  for (const char* ending : {"\n", "\r\n"}) {
    write_csv(kImages, ending);
    PcamFile file(dir_.path(), "valid");
    ASSERT_EQ(file.size(), kImages);
    EXPECT_TRUE(file.has_slides());
    for (const int64_t i : {int64_t{0}, int64_t{255}, int64_t{256}, kImages - 1, int64_t{1}}) {
      const torch::Tensor image = file.image(i);
      ASSERT_EQ(image.sizes(), (std::vector<int64_t>{3, 96, 96}));
      EXPECT_TRUE(image.is_contiguous());
      for (const auto& [c, row, column] :
           {std::array<int64_t, 3>{0, 0, 0}, {2, 5, 90}, {1, 95, 0}, {2, 95, 95}})
        EXPECT_EQ(image[c][row][column].item<uint8_t>(), pixel(i, c, row, column)) << i;
      EXPECT_EQ(file.record(i).label, label(i));
      EXPECT_EQ(file.record(i).slide, "camelyon16_train_tumor_00" + std::to_string(i % 7));
      EXPECT_EQ(file.record(i).x, 50 * i);
      EXPECT_EQ(file.record(i).y, 1000 + i);
    }
    EXPECT_TRUE(file.images(250, 20)[10].equal(file.image(260)));
  }
}

// As PatchCamelyon's files may be: chunks of many images, packed by gzip, labels of another width.
TEST_F(Pcam, PackedChunks) {
  write_images(kImages);
  write_labels(kImages);
  const torch::Tensor x = hdf5::File::open(name("x.h5"), "").dataset("x").read();
  const hid_t file = H5Fcreate(name("x.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::array<hsize_t, 4> dims{kImages, 96, 96, 3}, chunk{64, 96, 96, 3};
  const hid_t space = H5Screate_simple(4, dims.data(), nullptr);
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(list, 4, chunk.data());
  H5Pset_deflate(list, 1);
  const hid_t data = H5Dcreate2(file, "x", H5T_NATIVE_UINT8, space, H5P_DEFAULT, list, H5P_DEFAULT);
  EXPECT_GE(H5Dwrite(data, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, x.data_ptr()), 0);
  H5Dclose(data);
  H5Pclose(list);
  H5Sclose(space);
  H5Fclose(file);
  write("y.h5", "y", torch::arange(kImages).remainder(2).reshape({kImages, 1, 1, 1}));
  PcamFile packed(dir_.path(), "valid");
  for (int64_t i = 0; i < kImages; i += 23) {
    EXPECT_TRUE(packed.image(i).equal(x[i].permute({2, 0, 1})));
    EXPECT_EQ(packed.record(i).label, i % 2);
  }
}

TEST_F(Pcam, TheCsvMayBeAbsent) {
  write_images(3);
  write_labels(3);
  const PcamFile file(dir_.path(), "valid");
  EXPECT_EQ(file.size(), 3);
  EXPECT_FALSE(file.has_slides());
  EXPECT_EQ(file.record(0).label, 1);
  EXPECT_EQ(file.record(2).slide, "");
}

TEST_F(Pcam, MissingAndPackedFilesAreNamed) {
  expect_sentence(error(), name("x.h5"), {"does not exist"});
  overwrite(name("x.h5.gz"), "packed");
  expect_sentence(error(), name("x.h5"), {"gunzip", name("x.h5.gz").string()});
  write_images(3);
  expect_sentence(error(), name("y.h5"), {"does not exist"});
  overwrite(name("y.h5.gz"), "packed");
  expect_sentence(error(), name("y.h5"), {"gunzip"});
}

TEST_F(Pcam, FilesThatDoNotFitAreNamed) {
  write_images(3);
  write_labels(4);
  expect_sentence(error(), name("y.h5"), {"4 labels", "3 images"});
  write_labels(3);
  write_csv(2);
  expect_sentence(error(), name("meta.csv"), {"2 images", "3"});
  write_csv(5);
  expect_sentence(error(), name("meta.csv"), {"5 images", "3"});
  overwrite(name("meta.csv"), "coord_x,coord_y\n1,2\n");
  expect_sentence(error(), name("meta.csv"), {"line 1", "'wsi'"});
  const auto csv = [&](const std::string& rows) {
    overwrite(name("meta.csv"), "index,coord_x,coord_y,wsi\n" + rows);
  };
  csv("0,1,2,a\n1,1,2,a\n2,1,2,b\n\n");
  EXPECT_EQ(PcamFile(dir_.path(), "valid").record(2).slide, "b");
  csv("0,1,2,a\n2,1,2,a\n1,1,2,b\n");
  expect_sentence(error(), name("meta.csv"), {"line 3", "image 2, not 1"});
  csv("0,1,2,a\n1,one,2,a\n2,1,2,b\n");
  expect_sentence(error(), name("meta.csv"), {"line 3", "'one'"});
  csv("0,1,2,a\n1,2,a\n2,1,2,b\n");
  expect_sentence(error(), name("meta.csv"), {"line 3", "3 fields"});
  std::filesystem::remove(name("meta.csv"));
  write("y.h5", "y", torch::full({3, 1, 1, 1}, 2, torch::kUInt8));
  expect_sentence(error(), name("y.h5"), {"image 0", "2"});
  write("x.h5", "x", torch::zeros({3, 32, 16, 3}, torch::kUInt8));
  expect_sentence(error(), name("x.h5"), {"(images, 96, 96, 3)"});
  write("x.h5", "z", torch::zeros({3, 32, 16, 3}, torch::kUInt8));
  expect_sentence(error(), name("x.h5"), {"'x'", "missing"});
}

}  // namespace
}  // namespace stylescope
