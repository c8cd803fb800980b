// The benchmarks of communication on real ranks.
#include "io/atomic_file.hpp"
#include "tests/end_to_end/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stylescope::end_to_end {
namespace {

nlohmann::json bench(const TempDir& dir, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  for (const char* more : {"--json", "--seconds", "0.02", "--device", "cpu", "--threads", "1",
                           "--config", STYLESCOPE_SMOKE})
    arguments.emplace_back(more);
  const auto outcome = stylescope(dir.path(), arguments, 2);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return nlohmann::json::parse(outcome.out);
}

TEST(BenchOnRanks, CommIsRightAndDerivesBandwidths) {
  const TempDir dir;
  const auto report =
      bench(dir, {"comm", "--min-bytes", "1000", "--max-bytes", "100000", "--factor", "10"});
  EXPECT_EQ(report.at("ranks"), 2);
  EXPECT_EQ(report.at("wrong"), 0);
  EXPECT_EQ(report.at("rows").size(), 4 * 3 + 1);
  for (const auto& row : report.at("rows")) {
    EXPECT_EQ(row.at("backend"), "mpi");
    EXPECT_GT(row.at("in_plain").get<double>(), 0) << row;
    EXPECT_EQ(row.at("in_wrong"), 0) << row;
    if (row.at("collective") == "barrier") continue;
    const bool parts =
        row.at("collective") == "all_gather" || row.at("collective") == "reduce_scatter";
    const double bytes = row.at("bytes"), seconds = row.at("in_time").get<double>() / 1e6;
    const double algbw = row.at("in_algbw");
    EXPECT_NEAR(algbw * 1e9 * seconds / bytes, 1, 1e-9) << row;
    EXPECT_NEAR(row.at("in_busbw").get<double>() / algbw, parts ? 0.5 : 1, 1e-9) << row;
    EXPECT_EQ(row.at("out_time").is_null(), row.at("collective") == "broadcast") << row;
  }
  EXPECT_EQ(report.at("tables").at("gradients").at("rows").size(), 2 * 4);
}

TEST(BenchOnRanks, CommChecksEveryType) {
  const TempDir dir;
  for (const char* type : {"float64", "bfloat16"}) {
    const auto report =
        bench(dir, {"comm", "--min-bytes", "4096", "--max-bytes", "4096", "--type", type});
    EXPECT_EQ(report.at("wrong"), 0);
    EXPECT_EQ(report.at("rows").at(0).at("type"), type);
  }
}

TEST(BenchOnRanks, ScaleMeasuresFitsAndPredicts) {
  const TempDir dir;
  const auto report = bench(dir, {"scale", "--out", "page"});
  EXPECT_EQ(report.at("wrong"), 0);
  ASSERT_EQ(report.at("rows").size(), 2 * 3);  // one rank, two weak, two strong
  const auto& weak = report.at("rows").at(1);
  EXPECT_EQ(weak.at("scaling"), "weak");
  EXPECT_EQ(weak.at("ranks"), 2);
  EXPECT_EQ(weak.at("batch"), 32);
  EXPECT_GT(weak.at("of_independent").get<double>(), 0);
  EXPECT_GT(weak.at("exposed").get<double>(), 0);
  EXPECT_GT(report.at("tables").at("model").at("rows").at(0).at("latency").get<double>(), 0);
  EXPECT_EQ(report.at("tables").at("prediction").at("rows").size(), 2 * 11);
  EXPECT_THAT(read_text(dir / "page" / "scale.html"), testing::HasSubstr("predicted efficiency"));
}

}  // namespace
}  // namespace stylescope::end_to_end
