#include "io/explanation_set.hpp"
#include "io/hdf5_file.hpp"
#include "io/log.hpp"
#include "io/metrics_log.hpp"
#include "io/sha256.hpp"
#include "tests/io/faults.hpp"

#include <limits>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::SmallDisk;
using testing_support::TempDir;

TEST(Sha256, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  TempDir dir;
  const std::string million(1000000, 'a');
  overwrite(dir / "a", million + million);
  EXPECT_EQ(sha256_of(million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(sha256_of_file(dir / "a"), Sha256().update(million).update(million).finish());
  expect_sentence(error_of([&] { sha256_of_file(dir / "gone"); }), dir / "gone", {"No such file"});
  expect_sentence(error_of([&] { sha256_of_file(dir.path()); }), dir.path(), {"cannot be read"});
}

TEST(MetricsLog, IsCutBackToACheckpoint) {
  TempDir dir;
  const auto file = dir / "metrics.jsonl";
  MetricsLog log(file);
  log.cut_back(0);  // nothing there yet
  for (int64_t step = 0; step < 6; ++step)
    log.write({{"step", step}, {"loss", 0.1 * static_cast<double>(step)}});
  overwrite(file, read_text(file) + R"({"step":6,"lo)");  // killed while writing
  EXPECT_EQ(read_metrics(file).size(), 6U);
  MetricsLog again(file);
  again.cut_back(4);
  again.write({{"step", 4}, {"loss", std::numeric_limits<double>::quiet_NaN()}});
  const auto lines = read_metrics(file);
  ASSERT_EQ(lines.size(), 5U);
  for (int64_t step = 0; step < 5; ++step) EXPECT_EQ(lines[step]["step"], step);
  EXPECT_EQ(lines[3]["loss"].get<double>(), 0.1 * 3.0);
  EXPECT_TRUE(lines[4]["loss"].is_null());
  again.cut_back(5);
  EXPECT_EQ(read_metrics(file).size(), 5U);
}

TEST(MetricsLog, WithoutAFileWritesNothing) {
  MetricsLog log;
  log.cut_back(0);
  log.write({{"step", 1}});
  SUCCEED();
}

TEST(MetricsLog, FaultsGetASentence) {
  TempDir dir;
  const auto file = dir / "metrics.jsonl";
  expect_sentence(error_of([&] {
                    MetricsLog(dir / "no/metrics.jsonl").write({{"step", 1}});
                  }),
                  dir / "no/metrics.jsonl", {"No such file"});
  overwrite(file, "{\"step\":1}\nnonsense\n{\"step\":2}\n");
  expect_sentence(error_of([&] { read_metrics(file); }), file, {"line 2", "step"});
}

TEST(MetricsLog, AFullDiskLeavesNoHalfLine) {
  SmallDisk disk("64k");
  SKIP_UNLESS_MOUNTED(disk);
  const auto file = disk / "metrics.jsonl";
  MetricsLog log(file);
  int64_t step = 0;
  const std::string message = error_of([&] {
    for (; step < 10000; ++step) log.write({{"step", step}, {"text", std::string(100, 'x')}});
  });
  expect_sentence(message, file, {"No space left on device", "disk"});
  EXPECT_EQ(static_cast<int64_t>(read_metrics(file).size()), step);
  EXPECT_EQ(read_text(file).back(), '\n');
}

ExplanationSet explanations() {
  constexpr int64_t n = 2, l = 3, p = 2;
  const auto bytes = [](at::IntArrayRef shape) {
    return torch::arange(c10::multiply_integers(shape))
        .remainder(256)
        .to(torch::kUInt8)
        .view(shape);
  };
  const auto reals = [](at::IntArrayRef shape, torch::Dtype dtype) {
    return torch::arange(c10::multiply_integers(shape)).to(dtype).div(7).view(shape);
  };
  ExplanationSet set;
  set.original = bytes({n, 1, 4, 5});
  set.reconstruction = bytes({n, 1, 4, 5}) + 1;
  set.strip = bytes({n, l, 1, 4, 5});
  set.targets = bytes({n, p, 1, 4, 5});
  set.heat_map = reals({n, 4, 5}, torch::kFloat32);
  set.difference = reals({n, 4, 5}, torch::kFloat32);
  set.w = reals({n, 6}, torch::kFloat64);
  set.lambda = reals({l}, torch::kFloat64);
  set.f_original = reals({n}, torch::kFloat64);
  set.f_strip = reals({n, l}, torch::kFloat64);
  set.surrogate_strip = reals({n, l}, torch::kFloat64) + 1;
  set.target_lambda = reals({n, p}, torch::kFloat64);
  set.f_targets = reals({n, p}, torch::kFloat64) + 2;
  set.target_probability = reals({p}, torch::kFloat64);
  set.index = torch::tensor({7, -1}, torch::kInt64);
  set.label = torch::tensor({1, -1}, torch::kInt64);
  set.name = {"val/3.png", "mein Bild ä.png"};
  set.subject = {"9001", ""};
  return set;
}

TEST(ExplanationSet, GivesBackWhatWasWritten) {
  TempDir dir;
  auto set = explanations();
  set.target_lambda[1][1] = std::numeric_limits<double>::quiet_NaN();
  write_explanations(dir / "e.h5", set);
  const auto read = read_explanations(dir / "e.h5");
  EXPECT_EQ(read.size(), 2);
  using Set = ExplanationSet;
  for (auto part :
       {&Set::original, &Set::reconstruction, &Set::strip, &Set::targets, &Set::heat_map,
        &Set::difference, &Set::w, &Set::lambda, &Set::f_original, &Set::f_strip,
        &Set::surrogate_strip, &Set::f_targets, &Set::target_probability, &Set::index, &Set::label})
    EXPECT_TRUE((read.*part).equal(set.*part));
  EXPECT_TRUE(read.target_lambda.equal(set.target_lambda) ||
              read.target_lambda.isnan().sum().item<int>() == 1);
  EXPECT_TRUE(read.target_lambda.nan_to_num(-5).equal(set.target_lambda.nan_to_num(-5)));
  EXPECT_EQ(read.name, set.name);
  EXPECT_EQ(read.subject, set.subject);
}

TEST(ExplanationSet, AHeatMapIsCalledWhatItIs) {
  TempDir dir;
  auto set = explanations();
  write_explanations(dir / "cam.h5", set);
  EXPECT_EQ(read_explanations(dir / "cam.h5").heat_map_kind, "gradcam");
  set.heat_map_kind = "occlusion";
  write_explanations(dir / "covered.h5", set);
  const auto read = read_explanations(dir / "covered.h5");
  EXPECT_EQ(read.heat_map_kind, "occlusion");
  EXPECT_TRUE(read.heat_map.equal(set.heat_map));
  const auto file = hdf5::File::open(dir / "covered.h5", "-");
  EXPECT_TRUE(file.contains("occlusion"));
  EXPECT_FALSE(file.contains("gradcam"));
}

TEST(ExplanationSet, NoTargetsAreFine) {
  TempDir dir;
  auto set = explanations();
  for (auto part :
       {&ExplanationSet::targets, &ExplanationSet::target_lambda, &ExplanationSet::f_targets})
    set.*part = (set.*part).narrow(1, 0, 0);
  set.target_probability = set.target_probability.narrow(0, 0, 0);
  write_explanations(dir / "e.h5", set);
  EXPECT_EQ(read_explanations(dir / "e.h5").targets.sizes(), (std::vector<int64_t>{2, 0, 1, 4, 5}));
}

TEST(ExplanationSet, FaultsGetASentence) {
  TempDir dir;
  const auto file = dir / "e.h5";
  expect_sentence(error_of([&] { read_explanations(file); }), file,
                  {"does not exist", "explain stage"});
  write_explanations(file, explanations());
  overwrite(file, read_text(file).substr(0, 900));
  expect_sentence(error_of([&] { read_explanations(file); }), file, {"cut off", "explain stage"});
  auto wrong = explanations();
  wrong.lambda = wrong.lambda.narrow(0, 0, 2);
  EXPECT_THROW(write_explanations(dir / "wrong.h5", wrong), std::logic_error);
  EXPECT_FALSE(std::filesystem::exists(dir / "wrong.h5"));
}

class Log : public ::testing::Test {
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  void TearDown() override { spdlog::set_default_logger(before_); }
};

TEST_F(Log, RootSpeaksPlainlyAndOthersOfErrorsOnly) {
  ::testing::internal::CaptureStderr();
  log::start(0, 2, false);
  log::info("{} images", 3);
  log::warn("slow");
  log::debug("not on the terminal");
  log::start(1, 2, false);
  log::warn("root's affair");
  log::error("broken");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "3 images\nwarning: slow\n[rank 1] error: broken\n");
}

TEST_F(Log, FilesAreAppendedTo) {
  TempDir dir;
  ::testing::internal::CaptureStderr();
  for (const char* text : {"first", "second"}) {
    log::start(1, 2, false);
    log::to_file(dir.path(), "gan", 1);
    log::info(text);
    log::debug("detail");
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  const std::string text = read_text(dir / "logs/gan.rank-1.log");
  EXPECT_LT(text.find(" first\n"), text.find(" second\n"));
  EXPECT_NE(text.find("debug: detail"), std::string::npos);
  overwrite(dir / "file", "");
  EXPECT_NE(error_of([&] { log::to_file(dir / "file", "gan", 0); }).find((dir / "file").string()),
            std::string::npos);
}

TEST_F(Log, AnotherFileTakesThePlaceOfTheOneBefore) {
  TempDir dir;
  ::testing::internal::CaptureStderr();
  log::start(1, 2, false);
  log::to_file(dir.path(), "gan", 1);
  log::info("of the gan");
  log::to_file(dir.path(), "encoder", 1);
  log::info("of the encoder");
  overwrite(dir / "file", "");
  EXPECT_NE(error_of([&] { log::to_file(dir / "file", "report", 1); }), "");
  log::info("still of the encoder");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  const std::string gan = read_text(dir / "logs/gan.rank-1.log");
  const std::string encoder = read_text(dir / "logs/encoder.rank-1.log");
  EXPECT_NE(gan.find("of the gan"), std::string::npos);
  EXPECT_EQ(gan.find("encoder"), std::string::npos);
  EXPECT_NE(encoder.find("still of the encoder"), std::string::npos);
  EXPECT_EQ(encoder.find("gan"), std::string::npos);
}

}  // namespace
}  // namespace stylescope
