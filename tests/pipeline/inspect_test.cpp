#include "pipeline/inspect.hpp"

#include "distributed/communicator.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/checkpoint.hpp"
#include "io/explanation_set.hpp"
#include "io/hdf5_file.hpp"
#include "io/picture.hpp"
#include "io/tiff_pyramid.hpp"
#include "pipeline/weights_file.hpp"
#include "stages/artifacts.hpp"
#include "tests/io/dicom_fixture.hpp"
#include "tests/io/faults.hpp"
#include "tests/io/slide_fixture.hpp"
#include "tests/support/tiny_run.hpp"

#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing_support::flip_byte;
using testing_support::overwrite;
using testing_support::TempDir;
using testing_support::TinyRun;

std::string failure(const std::filesystem::path& file) {
  try {
    inspect(file);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), Not(HasSubstr("\n"))) << "an error is one line";
    return error.what();
  }
  return "accepted";
}

class Inspect : public testing::Test {
 protected:
  static void SetUpTestSuite() { run_ = std::make_unique<TinyRun>(self_); }
  static void TearDownTestSuite() { run_.reset(); }
  static std::filesystem::path artifact(const char* name) { return run_->path() / name; }

  static inline SelfCommunicator self_;
  static inline std::unique_ptr<TinyRun> run_;
  TempDir dir_;
};

TEST_F(Inspect, ImagesByCountsAndNeverByPatient) {
  auto found = inspect(artifact(artifacts::images));
  EXPECT_EQ(found.at("kind"), "images of stylescope");
  EXPECT_EQ(found.at("images"), 48);
  EXPECT_EQ(found.at("shape"), (std::vector<int64_t>{1, 16, 16}));
  ASSERT_EQ(found.at("splits").size(), 3U);
  for (const auto& split : found.at("splits")) {
    EXPECT_EQ(split.at("subjects"), 8) << split;
    EXPECT_EQ(split.at("images"), 16) << split;
    EXPECT_EQ(split.at("of_class").at("wide").get<int64_t>() +
                  split.at("of_class").at("narrow").get<int64_t>(),
              16);
  }
  found.erase("file");  // a random name
  for (const auto& text : {found.dump(), inspection_text(found)})
    EXPECT_THAT(text, AllOf(Not(HasSubstr("s11")), Not(HasSubstr("knees/")))) << text;
}

TEST_F(Inspect, PairsWithTheirChecksums) {
  const auto found = inspect(artifact(artifacts::pairs));
  EXPECT_EQ(found.at("pairs"), 96);
  EXPECT_EQ(found.at("w_dim"), 16);
  const auto folder = dir_ / "pairs";
  std::filesystem::copy(artifact("synthesize"), folder, std::filesystem::copy_options::recursive);
  EXPECT_EQ(inspect(folder / "pairs-0-of-1.h5").at("pairs"), 96);
  flip_byte(folder / "pairs-0-of-1.h5", 4000);
  EXPECT_THAT(failure(folder / "pairs.h5"), HasSubstr("is damaged"));
}

TEST_F(Inspect, ExplanationsWithoutNames) {
  ExplanationSet set;
  const auto bytes = [](std::vector<int64_t> shape) { return torch::zeros(shape, torch::kUInt8); };
  const auto reals = [](std::vector<int64_t> shape) {
    return torch::zeros(shape, torch::kFloat64);
  };
  set.original = set.reconstruction = bytes({2, 1, 8, 8});
  set.strip = bytes({2, 5, 1, 8, 8});
  set.targets = bytes({2, 3, 1, 8, 8});
  set.heat_map = set.difference = torch::zeros({2, 8, 8});
  set.w = reals({2, 4});
  set.lambda = reals({5});
  set.f_original = reals({2});
  set.f_strip = set.surrogate_strip = reals({2, 5});
  set.target_probability = reals({3});
  set.target_lambda = set.f_targets = reals({2, 3});
  set.index = set.label = torch::zeros({2}, torch::kInt64);
  set.name = {"Miller-L", "Miller-R"};
  set.subject = {"Miller", "Miller"};
  write_explanations(dir_ / "e.h5", set);
  const auto found = inspect(dir_ / "e.h5");
  EXPECT_EQ(found.at("images"), 2);
  EXPECT_EQ(found.at("steps_of_lambda"), 5);
  EXPECT_EQ(found.at("targets"), 3);
  EXPECT_THAT(found.dump(), Not(HasSubstr("Miller")));
}

TEST_F(Inspect, AnyOtherHdf5ByItsTree) {
  {
    auto file = hdf5::File::create(dir_ / "a.h5", "");
    file.write("group/values", torch::zeros({3, 4}, torch::kFloat32));
    file.write("count", torch::zeros({2}, torch::kInt64));
    file.write_strings("group/names", {"Miller"});
    file.close();
  }
  const auto found = inspect(dir_ / "a.h5");
  EXPECT_EQ(found.at("kind"), "HDF5");
  EXPECT_THAT(inspection_text(found),
              AllOf(HasSubstr("group/values  float32  shape [3,4]"), HasSubstr("count  int64"),
                    HasSubstr("group/names  text"), Not(HasSubstr("Miller"))));
  {
    auto file = hdf5::File::create(dir_ / "x.h5", "");
    file.write("x", torch::zeros({5, 96, 96, 3}, torch::kUInt8));
    file.close();
    auto labels = hdf5::File::create(dir_ / "y.h5", "");
    labels.write("y", torch::tensor({0, 1, 1}, torch::kUInt8).view({3, 1, 1, 1}));
    labels.close();
  }
  EXPECT_EQ(inspect(dir_ / "x.h5").at("images"), 5);
  EXPECT_EQ(inspect(dir_ / "y.h5").at("positive"), 2);
}

TEST_F(Inspect, NetworksByTheirOptions) {
  const auto g = inspect(artifact(artifacts::generator));
  EXPECT_EQ(g.at("network"), "generator");
  EXPECT_EQ(g.at("resolution"), 16);
  EXPECT_EQ(g.at("w_dim"), 16);
  Generator generator =
      load_generator(artifact(artifacts::generator).string(), torch::kCPU, torch::kFloat32);
  int64_t count = 0;
  for (const auto& parameter : generator->parameters()) count += parameter.numel();
  EXPECT_EQ(g.at("parameters"), count);
  EXPECT_THAT(inspection_text(g), HasSubstr("synthesis.b4.const  Float  shape [8,4,4]"));

  const auto f = inspect(artifact(artifacts::classifier));
  EXPECT_EQ(f.at("network"), "classifier");
  EXPECT_EQ(f.at("depth"), 18);
  EXPECT_EQ(f.at("class_names"), (std::vector<std::string>{"wide", "narrow"}));
  EXPECT_EQ(inspect(artifact(artifacts::encoder)).at("outputs"), 16);
  EXPECT_EQ(inspect(artifact(artifacts::direction)).at("kind"),
            "direction of stylescope (safetensors)");
}

TEST_F(Inspect, CheckpointsWithTheirChecksum) {
  CheckpointDirectory folder(dir_ / "checkpoints", 2);
  folder.save({7, {{"weight", torch::ones({3, 2})}}, {{"loss", 0.5}}});
  const auto file = folder.path_of(7);
  const auto found = inspect(file);
  EXPECT_EQ(found.at("step"), 7);
  EXPECT_EQ(found.at("tensors"), 1);
  EXPECT_EQ(found.at("checksum"), "as written (SHA-256)");
  flip_byte(file, std::filesystem::file_size(file) - 3);
  EXPECT_THAT(failure(file), HasSubstr("is damaged (its SHA-256 is not the one written)"));
}

TEST_F(Inspect, TorchScriptByItsFunctions) {
  export_network(artifact(artifacts::classifier), dir_ / "f.pt", "", "torchscript");
  const auto found = inspect(dir_ / "f.pt");
  EXPECT_EQ(found.at("kind"), "TorchScript");
  EXPECT_THAT(inspection_text(found), AllOf(HasSubstr("logits("), HasSubstr("resolution: 16")));
  overwrite(dir_ / "cut.pt", read_text(dir_ / "f.pt").substr(0, 5000));
  EXPECT_THAT(failure(dir_ / "cut.pt"), HasSubstr("is cut off"));
}

TEST_F(Inspect, PicturesAndSlides) {
  write_png(dir_ / "a.png", torch::zeros({1, 5, 7}, torch::kUInt8));
  const auto picture = inspect(dir_ / "a.png");
  EXPECT_EQ(picture.at("width"), 7);
  EXPECT_EQ(picture.at("height"), 5);
  EXPECT_EQ(picture.at("bits"), 8);
  EXPECT_EQ(picture.at("colours"), "grey");
  overwrite(dir_ / "cut.png", read_text(dir_ / "a.png").substr(0, 40));
  EXPECT_THAT(failure(dir_ / "cut.png"), HasSubstr("is cut off"));

  write_tiff_pyramid(dir_ / "a.tif", testing_support::pyramid(300, 200, 2),
                     testing_support::draw_texture);
  const auto slide = inspect(dir_ / "a.tif");
  EXPECT_EQ(slide.at("kind"), "slide");
  ASSERT_EQ(slide.at("levels").size(), 2U);
  EXPECT_EQ(slide.at("levels")[0].at("width"), 300);
}

TEST_F(Inspect, DicomByItsPictureAndNeverByPatient) {
  testing_support::DicomFile()
      .text(0x00080020, gdcm::VR::DA, "20200102")
      .text(0x00080060, gdcm::VR::CS, "DX")
      .text(0x00100010, gdcm::VR::PN, "Miller")
      .text(0x00100020, gdcm::VR::LO, "M17")
      .grey(2, 3, {0, 1, 2, 3, 4, 5}, 12)
      .write(dir_ / "a.dcm");
  const auto found = inspect(dir_ / "a.dcm");
  EXPECT_EQ(found.at("kind"), "DICOM");
  EXPECT_EQ(found.at("modality"), "DX");
  EXPECT_EQ(found.at("width"), 3);
  EXPECT_EQ(found.at("height"), 2);
  EXPECT_EQ(found.at("bits"), 12);
  EXPECT_EQ(found.at("frames"), 1);
  EXPECT_EQ(found.at("photometric"), "MONOCHROME2");
  EXPECT_FALSE(found.at("transfer_syntax").get<std::string>().empty());
  EXPECT_THAT(found.dump(),
              AllOf(Not(HasSubstr("Miller")), Not(HasSubstr("M17")), Not(HasSubstr("20200102"))));
}

TEST_F(Inspect, ZipsByTheirEndings) {
  // Two stored files of no bytes, and the list of them.
  const auto word = [](uint64_t value, size_t width) {
    std::string bytes;
    for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
    return bytes;
  };
  std::string zip, list;
  for (const std::string name : {"dataset.json", "00000/img1.png"}) {
    list += "PK\x01\x02" + std::string(16, '\0') + word(0, 4) + word(30, 4) + word(name.size(), 2) +
            std::string(12, '\0') + word(zip.size(), 4) + name;
    zip += "PK\x03\x04" + std::string(22, '\0') + word(name.size(), 2) + word(0, 2) + name;
  }
  const auto end = "PK\x05\x06" + std::string(4, '\0') + word(2, 2) + word(2, 2) +
                   word(list.size(), 4) + word(zip.size(), 4) + word(0, 2);
  overwrite(dir_ / "a.zip", zip + list + end);
  const auto found = inspect(dir_ / "a.zip");
  EXPECT_EQ(found.at("kind"), "zip of images, as StyleGAN2-ADA takes them");
  EXPECT_EQ(found.at("files").at(".png"), 1);
  EXPECT_EQ(found.at("bytes_unpacked"), 60);
  overwrite(dir_ / "cut.zip", zip + list);
  EXPECT_THAT(failure(dir_ / "cut.zip"), HasSubstr("cut off"));
}

TEST_F(Inspect, RunDirectoriesPointToStatus) {
  std::filesystem::create_directories(dir_ / "run" / "ingest");
  std::filesystem::create_directories(dir_ / "run" / "gan.partial");
  overwrite(dir_ / "run" / "ingest" / "stage.json", "{}");
  const auto found = inspect(dir_ / "run");
  EXPECT_EQ(found.at("stages_done"), std::vector<std::string>{"ingest"});
  EXPECT_EQ(found.at("stages_begun"), std::vector<std::string>{"gan"});
  EXPECT_THAT(inspection_text(found), HasSubstr("stylescope status "));
  EXPECT_THAT(failure(dir_ / "run" / "ingest"), HasSubstr("no run directory"));
}

TEST_F(Inspect, ForeignAndDamagedFilesGetASentence) {
  overwrite(dir_ / "empty", "");
  EXPECT_THAT(failure(dir_ / "empty"), HasSubstr("is empty"));
  overwrite(dir_ / "a.txt", "some text");
  EXPECT_THAT(failure(dir_ / "a.txt"), HasSubstr("is of no kind that inspect knows"));
  EXPECT_THAT(failure(dir_ / "none"), HasSubstr("is not there"));
  overwrite(dir_ / "cut.h5", read_text(artifact(artifacts::images)).substr(0, 3000));
  EXPECT_THAT(failure(dir_ / "cut.h5"), HasSubstr("cut.h5: "));
  overwrite(dir_ / "cut.safetensors", read_text(artifact(artifacts::encoder)).substr(0, 3000));
  EXPECT_THAT(failure(dir_ / "cut.safetensors"), HasSubstr("cut off"));
}

// Real files of other programs, where there are any.
TEST_F(Inspect, RealFiles) {
  const auto data = testing_support::real_data();
  if (data.empty()) GTEST_SKIP() << "real images not found: set STYLESCOPE_DATA";
  const auto slide = inspect(data / "slides" / "cmu-1-small-region.svs");
  EXPECT_EQ(slide.at("kind"), "slide");
  EXPECT_EQ(slide.at("vendor"), "aperio");
  EXPECT_NEAR(slide.at("micrometres_per_pixel")[0].get<double>(), 0.499, 1e-9);
  EXPECT_THAT(failure(data / "slides" / "broken.svs"), Not(HasSubstr("accepted")));
  const auto dicom = inspect(data / "dicom" / "pydicom" / "CT_small.dcm");
  EXPECT_EQ(dicom.at("kind"), "DICOM");
  EXPECT_EQ(dicom.at("modality"), "CT");
  EXPECT_EQ(dicom.at("width"), 128);
  EXPECT_THAT(dicom.dump(), AllOf(Not(HasSubstr("1CT1")), Not(HasSubstr("CompressedSamples"))));
}

}  // namespace
}  // namespace stylescope
