// Every benchmark, tiny: what its JSON holds, and that it finds nothing wrong. No test asserts a
// speed.
#include "pipeline/bench.hpp"

#include "pipeline/bench_timing.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

constexpr double kSeconds = 0.01;

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

TEST_P(Bench, Ops) { checked(bench_ops({2, 4, 8}, at_, kSeconds), 10); }

TEST_P(Bench, Train) {
  const auto json = checked(bench_train({4, 16, 64, 8, 1, 18, 4}, at_, kSeconds), 6);
  for (const auto& row : json.at("rows")) EXPECT_GT(row.at("gflop").get<double>(), 0) << row;
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

TEST_P(Bench, Comm) {
  const auto json = checked(bench_comm({1024, 16384, 4}, at_, kSeconds), 3);
  EXPECT_EQ(json.at("rows").at(2).at("bytes"), 16384);
  EXPECT_EQ(json.at("rows").at(2).at("busbw"), 0);  // one rank moves nothing
}

INSTANTIATE_TEST_SUITE_P(Precisions, Bench, testing::Values(torch::kFloat32, torch::kFloat64));

TEST(CountWrong, FindsWhatIsWrong) {
  const auto right = torch::ones({5});
  auto values = right.clone();
  EXPECT_EQ(count_wrong(values, right), 0);
  values[1] += 0.01;
  values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(count_wrong(values, right), 2);
  EXPECT_EQ(count_wrong(torch::ones({4}), right), 4);
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
