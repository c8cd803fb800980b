// The model of the network: its fit, what it predicts, and the sizes that go into it.
#include "pipeline/comm_model.hpp"

#include "io/base/error.hpp"
#include "pipeline/bench_networks.hpp"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

const NetworkModel kNetwork{2e-6, 1e-10};  // 2 us, 10 GB/s

std::vector<CommPoint> points_of(const NetworkModel& network, std::vector<int64_t> ranks) {
  std::vector<CommPoint> points;
  for (const int64_t n : ranks)
    for (double bytes = 256; bytes < 1e8; bytes *= 4)
      points.push_back({bytes, n, all_reduce_seconds(network, bytes, n)});
  return points;
}

StepProfile profile() { return {0.5, 8, 0.6, {{4e6, 20}, {4e3, 1}, {4e6, 0.25}}}; }

TEST(BusFactor, IsThatOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(Collective::Kind::all_reduce, 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::Kind::all_gather, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::Kind::reduce_scatter, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::Kind::broadcast, 4), 1);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::Kind::all_reduce, 1), 0);
}

TEST(AllReduceModel, CountsMessagesAndBytes) {
  const double a = kNetwork.latency, b = kNetwork.seconds_per_byte, s = 1e6;
  EXPECT_DOUBLE_EQ(all_reduce_seconds(kNetwork, AllReduceWay::ring, s, 5), 8 * a + 1.6 * s * b);
  EXPECT_DOUBLE_EQ(all_reduce_seconds(kNetwork, AllReduceWay::halving_doubling, s, 8),
                   6 * a + 1.75 * s * b);
  EXPECT_DOUBLE_EQ(all_reduce_seconds(kNetwork, AllReduceWay::recursive_doubling, s, 5),
                   3 * (a + s * b));
  EXPECT_DOUBLE_EQ(all_reduce_seconds(kNetwork, AllReduceWay::recursive_doubling, s, 8, 4),
                   3 * (a + 4 * s * b));
  EXPECT_EQ(all_reduce_seconds(kNetwork, s, 1), 0);
  EXPECT_EQ(fastest_way(kNetwork, 64, 64), AllReduceWay::recursive_doubling);
  EXPECT_EQ(fastest_way(kNetwork, 1e8, 64), AllReduceWay::halving_doubling);
}

TEST(NetworkFit, FindsTheNetworkThatMadeThePoints) {
  for (const NetworkModel& network :
       {kNetwork, NetworkModel{1e-3, 1e-9}, NetworkModel{1e-7, 1e-8}}) {
    const auto fit = fit_network(points_of(network, {2, 3, 8}));
    EXPECT_NEAR(fit.model.latency / network.latency, 1, 1e-6);
    EXPECT_NEAR(fit.model.seconds_per_byte / network.seconds_per_byte, 1, 1e-6);
    EXPECT_LT(fit.typical_error, 1e-6);
    EXPECT_NEAR(fit.worst_factor, 1, 1e-6);
  }
}

TEST(NetworkFit, SaysHowFarItIsOff) {
  auto points = points_of(kNetwork, {2});
  for (size_t i = 0; i < points.size(); ++i) points[i].seconds *= i % 2 ? 1.1 : 1 / 1.1;
  const auto fit = fit_network(points);
  EXPECT_NEAR(fit.model.latency / kNetwork.latency, 1, 0.1);
  EXPECT_NEAR(fit.model.seconds_per_byte / kNetwork.seconds_per_byte, 1, 0.1);
  EXPECT_NEAR(fit.typical_error, std::log(1.1), 0.02);
  EXPECT_GT(fit.worst_factor, 1.08);
}

TEST(NetworkFit, NeedsTwoSizes) {
  EXPECT_ANY_THROW(fit_network({{1e3, 2, 1e-6}}));
  EXPECT_ANY_THROW(fit_network({{1e3, 2, 1e-6}, {1e3, 4, 2e-6}}));
}

TEST(Prediction, GetsNoBetterWithMoreNodes) {
  auto last = predict(profile(), kNetwork, 1, 1);
  EXPECT_EQ(last.transfer, 0);
  EXPECT_DOUBLE_EQ(last.weak_efficiency, 1);
  EXPECT_DOUBLE_EQ(last.strong_efficiency, 1);
  for (int64_t nodes = 2; nodes <= 1024; nodes *= 2) {
    const auto next = predict(profile(), kNetwork, nodes, 1);
    EXPECT_GE(next.transfer, last.transfer) << nodes;
    EXPECT_GE(next.weak_step, last.weak_step) << nodes;
    EXPECT_LE(next.weak_efficiency, last.weak_efficiency) << nodes;
    EXPECT_LE(next.strong_efficiency, last.strong_efficiency) << nodes;
    last = next;
  }
}

TEST(Prediction, AddsUpMessagesHidesAShareAndLetsRanksIdle) {
  const auto p = predict(profile(), kNetwork, 4, 1);
  const double transfer =
      20.25 * all_reduce_seconds(kNetwork, 4e6, 4) + all_reduce_seconds(kNetwork, 4e3, 4);
  EXPECT_DOUBLE_EQ(p.transfer, transfer);
  EXPECT_DOUBLE_EQ(p.weak_step, 0.5 + 0.4 * transfer);
  EXPECT_DOUBLE_EQ(p.strong_step, 0.5 / 4 + 0.4 * transfer);
  // Eight groups: from nine ranks on, some have nothing to do, and no more can be hidden than the
  // backward pass lasts.
  const auto idle = predict(profile(), {2e-3, 1e-10}, 64, 1);
  const double least = 0.5 / 8;
  EXPECT_DOUBLE_EQ(idle.strong_step, least + idle.transfer - kBackwardShare * least);
  EXPECT_EQ(predict(profile(), kNetwork, 4, 2).ranks, 8);
}

TEST(Assumptions, NameTheNetwork) {
  const auto given = assumptions({2e-6, 1 / 12.5e9}, 4, NetworkSource::given);
  std::string all;
  for (const auto& sentence : given) all += sentence + "\n";
  EXPECT_NE(all.find("4 ranks on each node"), std::string::npos) << all;
  EXPECT_NE(all.find("takes 2 us"), std::string::npos) << all;
  EXPECT_NE(all.find("12.5 GB/s, as given"), std::string::npos) << all;
}

}  // namespace
}  // namespace stylescope
