#include "io/coords_file.hpp"

#include "io/hdf5_file.hpp"
#include "tests/io/faults.hpp"

#include <array>
#include <functional>

#include <hdf5.h>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;
using Attributes = std::function<void(hdf5::Dataset&)>;

torch::Tensor three_corners() {
  return torch::tensor({{0, 512}, {1024, 512}, {70000, 131072}}, torch::kInt64);
}

// A file with /coords and these attributes, in the order given.
void make_file(const std::filesystem::path& file, const torch::Tensor& corners,
               const Attributes& attributes) {
  hdf5::File out = hdf5::File::create(file, "try again");
  out.write("coords", corners);
  {
    hdf5::Dataset data = out.dataset("coords");
    attributes(data);
  }
  out.close();
}

void clam_attributes(hdf5::Dataset& data) {
  data.write_attribute("patch_size", int64_t{256});
  data.write_attribute("patch_level", int64_t{1});
  data.write_attribute("downsample", std::vector<double>{4.0, 4.001});
  data.write_attribute("downsampled_level_dim", std::vector<int64_t>{24448, 55296});
  data.write_attribute("level_dim", std::vector<int64_t>{24448, 55296});
  data.write_attribute("name", std::string("tumor_001"));
  data.write_attribute("save_path", std::string("out/patches"));
}

void trident_attributes(hdf5::Dataset& data) {
  data.write_attribute("patch_size", int64_t{256});
  data.write_attribute("patch_size_level0", int64_t{512});
  data.write_attribute("level0_magnification", int64_t{40});
  data.write_attribute("target_magnification", int64_t{20});
  data.write_attribute("overlap", int64_t{32});
  data.write_attribute("name", std::string("tumor_001"));
  data.write_attribute("savetodir", std::string("out/20x_256px"));
  data.write_attribute("level0_width", int64_t{97792});
  data.write_attribute("level0_height", int64_t{221184});
}

TEST(CoordsFile, ReadsClam) {
  TempDir dir;
  make_file(dir / "tumor_001.h5", three_corners(), clam_attributes);
  const TileCoords coords = read_coords(dir / "tumor_001.h5");
  EXPECT_EQ(coords.layout, "clam");
  EXPECT_EQ(coords.name, "tumor_001");
  EXPECT_TRUE(coords.level0.equal(three_corners()));
  EXPECT_EQ(coords.tile_px, 256);
  EXPECT_EQ(coords.width0, 1024);
  EXPECT_DOUBLE_EQ(coords.height0, 256 * 4.001);
  EXPECT_EQ(coords.level, 1);
  EXPECT_EQ((*coords.level_size)[1], 55296);
  EXPECT_FALSE(coords.target_magnification);
  EXPECT_TRUE(coords.unknown.empty());
}

TEST(CoordsFile, ReadsTrident) {
  TempDir dir;
  make_file(dir / "t.h5", three_corners(), trident_attributes);
  const TileCoords coords = read_coords(dir / "t.h5");
  EXPECT_EQ(coords.layout, "trident");
  EXPECT_EQ(coords.name, "tumor_001");
  EXPECT_TRUE(coords.level0.equal(three_corners()));
  EXPECT_EQ(coords.tile_px, 256);
  EXPECT_EQ(coords.width0, 512);
  EXPECT_EQ(coords.height0, 512);
  EXPECT_EQ(coords.level0_magnification, 40);
  EXPECT_EQ(coords.target_magnification, 20);
  EXPECT_EQ(coords.overlap, 32);
  EXPECT_EQ((*coords.level0_size)[0], 97792);
  EXPECT_FALSE(coords.level);
  EXPECT_TRUE(coords.unknown.empty());
}

TEST(CoordsFile, OlderTridentFilesLackSome) {
  TempDir dir;
  make_file(dir / "slide_9.h5", three_corners(), [](hdf5::Dataset& data) {
    data.write_attribute("patch_size", 512.0);
    data.write_attribute("level0_magnification", 40.0);
    data.write_attribute("target_magnification", 12.5);
    data.write_attribute("overlap", std::string("None"));  // how TRIDENT stores None
  });
  const TileCoords coords = read_coords(dir / "slide_9.h5");
  EXPECT_EQ(coords.layout, "trident");
  EXPECT_DOUBLE_EQ(coords.width0, 512 * 40 / 12.5);
  EXPECT_FALSE(coords.overlap);
  EXPECT_FALSE(coords.level0_size);
  EXPECT_EQ(coords.name, "slide_9");
  EXPECT_EQ(coords.unknown, (std::vector<std::string>{"name", "overlap", "level0_width",
                                                      "level0_height", "patch_size_level0"}));
}

// h5py writes what numpy has: int32 corners, bytes of fixed length, unsigned and short numbers.
TEST(CoordsFile, OtherTypesOfHdf5) {
  TempDir dir;
  const hid_t file = H5Fcreate((dir / "n.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::array<hsize_t, 2> dims{2, 2};
  const std::array<int32_t, 4> corners{5, 6, 70000, 8};
  const hid_t space = H5Screate_simple(2, dims.data(), nullptr);
  const hid_t data =
      H5Dcreate2(file, "coords", H5T_STD_I32BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_GE(H5Dwrite(data, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, corners.data()), 0);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  const auto attribute = [&](const char* name, hid_t type, hid_t memory, const void* value) {
    const hid_t id = H5Acreate2(data, name, type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Awrite(id, memory, value), 0);
    H5Aclose(id);
  };
  const int32_t size = 256, level = 0;
  const float downsample = 1;
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 12);
  attribute("patch_size", H5T_STD_U16LE, H5T_NATIVE_INT32, &size);
  attribute("patch_level", H5T_STD_I8LE, H5T_NATIVE_INT32, &level);
  attribute("downsample", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, &downsample);
  attribute("name", text, text, "slide_1\0\0\0\0\0");
  H5Tclose(text);
  H5Sclose(scalar);
  H5Dclose(data);
  H5Sclose(space);
  H5Fclose(file);
  const TileCoords coords = read_coords(dir / "n.h5");
  EXPECT_TRUE(coords.level0.equal(torch::tensor({{5, 6}, {70000, 8}}, torch::kInt64)));
  EXPECT_EQ(coords.name, "slide_1");
  EXPECT_EQ(coords.width0, 256);
  EXPECT_EQ(coords.downsample, (std::array<double, 2>{1, 1}));
}

TEST(CoordsFile, ClamAtLevel0NeedsNoDownsample) {
  TempDir dir;
  make_file(dir / "c.h5", three_corners(), [](hdf5::Dataset& data) {
    data.write_attribute("patch_size", int64_t{224});
    data.write_attribute("patch_level", int64_t{0});
    data.write_attribute("wsi_name", std::string("normal_7"));
  });
  const TileCoords coords = read_coords(dir / "c.h5");
  EXPECT_EQ(coords.layout, "clam");
  EXPECT_EQ(coords.name, "normal_7");
  EXPECT_EQ(coords.width0, 224);
  EXPECT_EQ(coords.unknown, (std::vector<std::string>{"downsample", "level_dim"}));
}

void expect_same(const TileCoords& a, const TileCoords& b) {
  EXPECT_EQ(a.layout, b.layout);
  EXPECT_EQ(a.name, b.name);
  EXPECT_TRUE(a.level0.equal(b.level0));
  EXPECT_EQ(a.width0, b.width0);
  EXPECT_EQ(a.height0, b.height0);
  EXPECT_EQ(a.tile_px, b.tile_px);
  EXPECT_EQ(a.level, b.level);
  EXPECT_EQ(a.downsample, b.downsample);
  EXPECT_EQ(a.level_size, b.level_size);
  EXPECT_EQ(a.level0_magnification, b.level0_magnification);
  EXPECT_EQ(a.target_magnification, b.target_magnification);
  EXPECT_EQ(a.overlap, b.overlap);
  EXPECT_EQ(a.level0_size, b.level0_size);
  EXPECT_EQ(a.unknown, b.unknown);
}

TEST(CoordsFile, RoundTripsInBothLayouts) {
  TempDir dir;
  for (const auto& attributes : {Attributes(clam_attributes), Attributes(trident_attributes)}) {
    make_file(dir / "in.h5", three_corners(), attributes);
    const TileCoords coords = read_coords(dir / "in.h5");
    write_coords(dir / "out.h5", coords, "some/folder");
    expect_same(read_coords(dir / "out.h5"), coords);
    // What is written has every attribute of the layout.
    const hdf5::File out = hdf5::File::open(dir / "out.h5", "");
    const hdf5::Dataset data = out.dataset("coords");
    EXPECT_EQ(data.dtype(), torch::kInt64);
    const bool clam = coords.layout == "clam";
    EXPECT_EQ(data.text_attribute(clam ? "save_path" : "savetodir"), "some/folder");
    if (clam) EXPECT_EQ(data.number_attribute("downsampled_level_dim")->size(), 2U);
  }
}

TEST(CoordsFile, NoTilesAndFractionalTiles) {
  TempDir dir;
  make_file(dir / "in.h5", three_corners(), trident_attributes);
  TileCoords coords = read_coords(dir / "in.h5");
  coords.level0 = torch::empty({0, 2}, torch::kInt64);
  coords.width0 = coords.height0 = 525.25;
  write_coords(dir / "out.h5", coords, "");
  expect_same(read_coords(dir / "out.h5"), coords);
}

TEST(CoordsFile, FaultsGetASentence) {
  TempDir dir;
  const auto file = dir / "bad.h5";
  const auto expect = [&](const torch::Tensor& corners, const Attributes& attributes,
                          const std::vector<std::string>& parts) {
    make_file(file, corners, attributes);
    expect_sentence(error_of([&] { read_coords(file); }), file, parts);
  };
  expect(three_corners(), [](hdf5::Dataset&) {}, {"'patch_level'", "CLAM", "TRIDENT"});
  expect(three_corners(), [](hdf5::Dataset& d) { d.write_attribute("patch_level", int64_t{1}); },
         {"'patch_size'", "missing"});
  const auto level = [](int64_t patch, int64_t level) {
    return [=](hdf5::Dataset& d) {
      d.write_attribute("patch_size", patch);
      d.write_attribute("patch_level", level);
    };
  };
  expect(three_corners(), level(256, 2), {"'downsample'", "missing", "level 2"});
  expect(three_corners(), level(0, 0), {"'patch_size'", "is 0"});
  expect(three_corners(), level(256, -1), {"'patch_level'", "-1"});
  expect(three_corners(),
         [&](hdf5::Dataset& d) {
           level(256, 1)(d);
           d.write_attribute("downsample", std::vector<double>{1, 2, 3});
         },
         {"'downsample'", "3 numbers"});
  expect(three_corners(),
         [](hdf5::Dataset& d) {
           d.write_attribute("patch_size", std::string("large"));
           d.write_attribute("target_magnification", int64_t{20});
         },
         {"'patch_size'", "'large'"});
  expect(three_corners(),
         [](hdf5::Dataset& d) {
           d.write_attribute("patch_size", int64_t{256});
           d.write_attribute("target_magnification", int64_t{20});
         },
         {"'patch_size_level0'", "does not follow"});
  expect(torch::zeros({5, 3}, torch::kInt64), trident_attributes, {"'coords'", "(x, y)"});
  expect(torch::full({5, 2}, 0.5), trident_attributes, {"'coords'", "fractions"});
  overwrite(file, "no HDF5 at all");
  expect_sentence(error_of([&] { read_coords(file); }), file, {"no HDF5", "CLAM or TRIDENT"});
  hdf5::File::create(file, "").close();
  expect_sentence(error_of([&] { read_coords(file); }), file, {"'coords'", "missing"});

  TileCoords coords;
  coords.level0 = three_corners();
  for (const char* layout : {"clam", "trident"}) {
    coords.layout = layout;
    expect_sentence(error_of([&] { write_coords(dir / "out.h5", coords, ""); }), dir / "out.h5",
                    {"needs", "write"});
    EXPECT_FALSE(std::filesystem::exists(dir / "out.h5"));
  }
}

}  // namespace
}  // namespace stylescope
