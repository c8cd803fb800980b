// Every benchmark, tiny: what its JSON holds, and that it finds nothing wrong. No test asserts a
// speed.
#include "pipeline/bench.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/bench_compared.hpp"
#include "pipeline/bench_profile.hpp"
#include "pipeline/bench_steps.hpp"
#include "pipeline/bench_timing.hpp"
#include "pipeline/scale_run.hpp"
#include "stages/ops/winograd.hpp"
#include "tests/support/temp_dir.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;

constexpr double kSeconds = 0.01;
constexpr TrainBench kTinyTraining{4, 16, 64, 8, 1, 18, 8};

class Bench : public testing::TestWithParam<torch::Dtype> {
 protected:
  // The report as JSON, its shape checked.
  nlohmann::ordered_json checked(const BenchReport& report, size_t rows) {
    const auto json = to_json(report, at_);
    for (const char* key :
         {"benchmark", "args", "version", "revision", "libraries", "time", "hosts", "cpu", "device",
          "precision", "threads", "ranks", "limits", "units", "rows"})
      EXPECT_TRUE(json.contains(key)) << key;
    EXPECT_EQ(json.at("wrong"), 0) << json.dump(1);
    EXPECT_EQ(json.at("rows").size(), rows);
    for (const auto& row : json.at("rows"))
      for (const auto& column : report.columns) EXPECT_TRUE(row.contains(column.key)) << column.key;
    for (const auto& limit : json.at("limits")) EXPECT_GT(limit.get<double>(), 0);
    EXPECT_NE(to_table(report, json).find("#wrong"), std::string::npos);
    return json;
  }

  SelfCommunicator world_;
  StopSignal stop_;
  Launch at_{world_, stop_, torch::kCPU, GetParam(), 1};
};

TEST_P(Bench, Ops) { checked(bench_ops({2, 4, 8}, at_, kSeconds), 12); }

TEST_P(Bench, Train) {
  const auto json = checked(bench_train({4, 16, 64, 8, 1, 18, 8}, at_, kSeconds), 6);
  for (const auto& row : json.at("rows")) EXPECT_GT(row.at("gflop").get<double>(), 0) << row;
}

// Every phase, and last a step on average, which has all figures.
TEST_P(Bench, TrainComparesOperations) {
  auto bench = kTinyTraining;
  bench.profile = true;
  const auto tables = checked(bench_train(bench, at_, kSeconds), 6).at("tables");
  const auto& rows = tables.at("operations").at("rows");
  ASSERT_EQ(rows.size(), 5);
  const auto& overall = rows.back();
  EXPECT_EQ(overall.at("resolution"), 16);
  EXPECT_EQ(overall.at("dtype"), GetParam() == torch::kFloat64 ? "float64" : "float32");
  EXPECT_EQ(overall.at("threads"), 1);
  EXPECT_EQ(overall.at("phases").size(), 4);
  EXPECT_NEAR(
      overall.at("ratio").get<double>() * overall.at("reference_images_per_second").get<double>(),
      overall.at("images_per_second").get<double>(), 1e-6);
  for (const char* key : {"share_of_peak", "peak_memory"})
    EXPECT_GT(overall.at(key).get<double>(), 0) << key;
  double fast = 0, reference = 0;
  for (const auto& row : tables.at("profile").at("rows")) {
    fast += row.at("fast_share").get<double>();
    reference += row.at("reference_share").get<double>();
  }
  EXPECT_NEAR(fast, 100, 1e-6);
  EXPECT_NEAR(reference, 100, 1e-6);
}

TEST_P(Bench, TrainRunsOneKindOfOperations) {
  for (const auto compared : {Compared::fast, Compared::reference}) {
    auto bench = kTinyTraining;
    bench.compared = compared;
    const auto json = checked(bench_train(bench, at_, kSeconds), 6);
    const auto& overall = json.at("tables").at("operations").at("rows").back();
    EXPECT_TRUE(overall.at("ratio").is_null());
    EXPECT_GT(overall.at("images_per_second").get<double>(), 0);
  }
}

TEST_P(Bench, Generate) { checked(bench_generate({2, 16, 64, 8, 1}, at_, kSeconds), 2); }

TEST_P(Bench, Loader) {
  checked(bench_loader({8, 3, 8, 1, {}}, at_, kSeconds), 6);
  const auto json = checked(bench_loader({0, 3, 8, 3, {}, 2e-5}, at_, kSeconds), 7);  // RGB: jpeg
  EXPECT_EQ(json.at("args").at("images"), 104);
}

TEST_P(Bench, Tile) {
  const auto json = checked(bench_tile({{}, 512, 64, {}}, at_, kSeconds), 9);
  EXPECT_EQ(json["rows"][0]["tiles"], 64);
}

TEST_P(Bench, CommOfEveryCollective) {
  const auto json = checked(bench_comm({1024, 16384, 4}, at_, kSeconds), 4 * 3 + 1);
  const auto& row = json.at("rows").at(2);
  EXPECT_EQ(row.at("collective"), "all_reduce");
  EXPECT_EQ(row.at("backend"), "self");
  EXPECT_EQ(row.at("bytes"), 16384);
  EXPECT_EQ(row.at("in_busbw"), 0);           // one rank moves nothing
  EXPECT_TRUE(row.at("in_plain").is_null());  // without MPI
  EXPECT_GT(row.at("out_algbw").get<double>(), 0);
  EXPECT_TRUE(json.at("rows").at(3).at("out_time").is_null());  // a broadcast has one tensor
  EXPECT_EQ(json.at("rows").back().at("collective"), "barrier");
}

TEST_P(Bench, CommOfChosenOnesAndOfGradients) {
  CommBench bench{1024, 1024, 4, {"all_reduce", "all_gather"}, "bfloat16", {}};
  bench.networks = networks_of(kTinyTraining);
  const auto json = checked(bench_comm(bench, at_, kSeconds), 2);
  EXPECT_EQ(json.at("rows").at(0).at("count"), 512);
  const auto& gradients = json.at("tables").at("gradients").at("rows");
  // Each network's messages, then all of them together.
  int64_t networks = 0, bytes = 0;
  for (const auto& row : gradients) {
    if (row.at("bucket") != "all") {
      bytes += row.at("bytes").get<int64_t>();
      continue;
    }
    EXPECT_EQ(row.at("bytes"), bytes);
    bytes = 0;
    ++networks;
  }
  EXPECT_EQ(networks, 3);  // G, D, ResNet
  EXPECT_EQ(bytes, 0);
}

TEST_P(Bench, Scale) {
  const TempDir dir;
  ScaleBench bench;
  bench.networks = networks_of(kTinyTraining);
  bench.out = dir.path();
  bench.asked.latency_us = 2;
  bench.asked.bandwidth_gbs = 10;
  const auto json = checked(bench_scale(bench, at_, kSeconds), 2);
  for (const auto& row : json.at("rows")) {
    EXPECT_EQ(row.at("scaling"), "one rank");
    EXPECT_EQ(row.at("efficiency"), 100);
    EXPECT_GT(row.at("compute").get<double>(), 0);
  }
  // One rank exchanges nothing, and what it would send is not known, whatever the network.
  EXPECT_FALSE(json.at("tables").contains("prediction"));
  EXPECT_THAT(read_text(dir / "scale.html"), testing::HasSubstr("</html>"));
  const auto run = read_scale_run(dir / "scale.json");
  EXPECT_EQ(run.ranks, 1);
  // By these, runs with other networks are told apart.
  for (const char* key : {"gan_parameters", "resnet_parameters"}) {
    EXPECT_GT(run.settings.at(key), 0) << key;
    EXPECT_EQ(run.settings.at(key).get<int64_t>(), json.at("args").at(key).get<int64_t>()) << key;
  }
  auto wider = kTinyTraining;
  wider.width *= 2;
  bench.networks = networks_of(wider);
  bench_scale(bench, at_, kSeconds);
  const auto other = read_scale_run(dir / "scale.json").settings;
  EXPECT_GT(other.at("resnet_parameters"), run.settings.at("resnet_parameters"));
  EXPECT_EQ(other.at("gan_parameters"), run.settings.at("gan_parameters"));
  EXPECT_EQ(run.findings.trainings.at(0).points.at(0).weak.step * 1e3, json["rows"][0]["time"]);
  bench.ranks = {2};
  EXPECT_THROW(bench_scale(bench, at_, kSeconds), UsageError);
}

INSTANTIATE_TEST_SUITE_P(Precisions, Bench, testing::Values(torch::kFloat32, torch::kFloat64));

// On a CPU the reference stays in float32; its images are ours but for rounding (`wrong`).
TEST(BenchOfAHalfType, ComparesWithTheReferenceInFloat32) {
  SelfCommunicator world;
  StopSignal stop;
  const Launch at{world, stop, torch::kCPU, torch::kFloat32, 1};
  auto train = kTinyTraining;
  GenerateBench generate{2, 16, 64, 8, 1};
  train.half = generate.half = torch::kBFloat16;
  for (const auto& report :
       {bench_train(train, at, kSeconds), bench_generate(generate, at, kSeconds)}) {
    const auto json = to_json(report, at);
    EXPECT_EQ(json.at("precision"), "bfloat16");
    EXPECT_EQ(json.at("tables").at("operations").at("rows").back().at("dtype"), "bfloat16");
    EXPECT_EQ(json.at("wrong"), 0) << json.dump(1);
  }
  EXPECT_EQ(half_with(Operations::fast, torch::kBFloat16, at), torch::kBFloat16);
  EXPECT_EQ(half_with(Operations::reference, torch::kBFloat16, at), std::nullopt);
}

TEST(GanSteps, SharesAreThoseOfALongRun) {
  SelfCommunicator world;
  StopSignal stop;
  const Launch at{world, stop, torch::kCPU, torch::kFloat32, 1};
  auto networks = networks_of(kTinyTraining);
  networks.gan.path_length_interval = 4;
  networks.gan.r1_interval = 16;
  auto shares = GanSteps(networks, 4, world, at).shares();
  std::sort(shares.begin(), shares.end());  // both, path length alone, none
  ASSERT_EQ(shares.size(), 3);
  EXPECT_NEAR(shares[0], 1 / 16.0, 1e-12);
  EXPECT_NEAR(shares[1], 3 / 16.0, 1e-12);
  EXPECT_NEAR(shares[2], 12 / 16.0, 1e-12);
  networks.gan.r1_interval = 6;  // and now R1 alone, too
  shares = GanSteps(networks, 4, world, at).shares();
  EXPECT_EQ(shares.size(), 4);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
  networks.gan.r1_gamma = 0;
  networks.gan.path_length_weight = 0;
  EXPECT_EQ(GanSteps(networks, 4, world, at).shares(), std::vector<double>{1});
}

TEST(CountWrong, FindsWhatIsWrong) {
  const auto right = torch::ones({5});
  auto values = right.clone();
  EXPECT_EQ(count_wrong(values, right), 0);
  values[1] += 0.01;
  values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(count_wrong(values, right), 2);
  EXPECT_EQ(count_wrong(torch::ones({4}), right), 4);
}

TEST(OperationProfile, TellsKindsApart) {
  const auto x = torch::ones({2, 16, 32, 32}), w = torch::ones({16, 16, 3, 3});
  const OperationProfile profile;
  torch::conv2d(x, w, {}, 1, 1);
  torch::mm(torch::ones({64, 64}), torch::ones({64, 64}));
  winograd_conv3x3(x, w);
  const auto times = profile.times();
  const auto of = [&](OperationKind kind) { return times.seconds[static_cast<size_t>(kind)]; };
  EXPECT_GT(of(OperationKind::convolution_forward), 0);
  EXPECT_GT(of(OperationKind::matmul), 0);
  EXPECT_GT(of(OperationKind::winograd), 0);
  EXPECT_EQ(of(OperationKind::convolution_backward), 0);
  EXPECT_EQ(operation_kind("aten::mul"), OperationKind::elementwise);
  EXPECT_EQ(operation_kind("aten::mkldnn_convolution"), OperationKind::convolution_forward);
  for (const char* name : {"aten::convolution_backward", "aten::mkldnn_convolution_backward",
                           "aten::slow_conv2d_backward"})
    EXPECT_EQ(operation_kind(name), OperationKind::convolution_backward) << name;
  EXPECT_EQ(operation_kind("aten::copy_"), OperationKind::copy);
  EXPECT_EQ(operation_kind("stylescope::adam"), OperationKind::optimizer);
  EXPECT_EQ(operation_kind("c10d::whatever"), OperationKind::other);
}

// A convolution by fewer multiplications counts as what it computes.
TEST(FlopCounter, CountsWinogradAsDirect) {
  const auto x = torch::ones({2, 16, 8, 8}).requires_grad_(true);
  const auto w = torch::ones({32, 16, 3, 3}).requires_grad_(true);
  const FlopCounter counter;
  const auto y = winograd_conv3x3(x, w);
  const double forward = 2.0 * 9 * 16 * 32 * 2 * 64;
  EXPECT_EQ(counter.count(), forward);
  y.sum().backward();
  EXPECT_EQ(counter.count(), 3 * forward);
  torch::mm(torch::ones({2, 3}), torch::ones({3, 7}));  // and what comes after counts
  EXPECT_EQ(counter.count(), 3 * forward + 2 * 2 * 3 * 7);
}

TEST(FlopCounter, CountsConvolutionsAndProducts) {
  const FlopCounter counter;
  const auto x = torch::ones({2, 3, 8, 8}).requires_grad_(true);
  const auto w = torch::ones({5, 3, 3, 3}).requires_grad_(true);
  const auto y = torch::conv2d(x, w, {}, 2, 1);
  const double forward = 2.0 * (2 * 5 * 4 * 4) * (3 * 9);
  EXPECT_EQ(counter.count(), forward);
  y.sum().backward();  // by the image and by the weight
  EXPECT_EQ(counter.count(), 3 * forward);
  torch::mm(torch::ones({2, 3}), torch::ones({3, 7}));
  EXPECT_EQ(counter.count(), 3 * forward + 2 * 2 * 3 * 7);
  torch::conv_transpose2d(torch::ones({1, 5, 4, 4}), w.detach(), {}, 2, 1);
  EXPECT_EQ(counter.count(), 3 * forward + 2 * 2 * 3 * 7 + 2.0 * (5 * 16) * (3 * 9));
}

}  // namespace
}  // namespace stylescope
