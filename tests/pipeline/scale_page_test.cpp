// The page of `bench scale`, and how a step's time is taken apart.
#include "pipeline/scale_page.hpp"

#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing::Not;

StepTimes times(double step) {
  StepTimes t;
  t.step = step;
  t.compute = 0.8 * step;
  t.exposed = 0.15 * step;
  t.waiting = 0.05 * step;
  return t;
}

ScaleFindings findings() {
  ScaleFindings f;
  f.subtitle = "2 ranks on <host>";
  f.network = NetworkModel{2e-6, 1e-10};
  ScaleFindings::Training training{"GAN step", 8, {}, {}};
  training.points.push_back({1, times(0.10), times(0.10), 0.10, 2});
  training.points.push_back({2, times(0.11), times(0.06), 0.105, 2});
  for (int64_t nodes = 1; nodes <= 4; nodes *= 2)
    training.predictions.push_back(predict({0.1, 2, 0, {{1e6, 4}}}, *f.network, nodes, 1));
  f.trainings = {training};
  for (const double bytes : {1e3, 1e6})
    f.all_reduces.push_back({bytes, 2, all_reduce_seconds(*f.network, bytes, 2)});
  f.fit = fit_network(f.all_reduces);
  f.assumptions = {"nodes like this one & no other"};
  return f;
}

TEST(ScalePage, HasAllPlotsAndNothingFromOutside) {
  const auto page = scale_page(findings());
  for (const char* label :
       {"GAN step: weak scaling by number of ranks", "GAN step: strong scaling by number of ranks",
        "GAN step: what the time of a step goes into",
        "Time of an all_reduce by its size, measured and from the model",
        "GAN step: predicted efficiency by number of nodes"})
    EXPECT_THAT(page, HasSubstr("aria-label=\"" + std::string(label))) << label;
  EXPECT_THAT(page, HasSubstr("2 ranks on &lt;host&gt;"));
  EXPECT_THAT(page, HasSubstr("nodes like this one &amp; no other"));
  EXPECT_THAT(page, HasSubstr("all_reduces of this run"));
  EXPECT_THAT(page, HasSubstr("latency 2.00 us, bandwidth 10.00 GB/s"));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(ScalePage, OfOneRankSaysWhatIsMissing) {
  auto f = findings();
  f.all_reduces.clear();
  f.fit.reset();
  f.trainings[0].points.resize(1);
  f.trainings[0].predictions.clear();
  const auto page = scale_page(f);
  EXPECT_THAT(page, HasSubstr("One rank moves nothing"));
  EXPECT_THAT(page, HasSubstr("what a step would send is not known; start more ranks"));
}

// Steps of two kinds, which sleep, and reduce ten numbers, or twenty asynchronously.
class FakeSteps final : public TrainingSteps {
 public:
  explicit FakeSteps(Communicator& world) : world_(world) {}
  std::vector<double> shares() const override { return {0.75, 0.25}; }
  void step(size_t kind) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(kind == 0 ? 2 : 10));
    world_.all_reduce(torch::ones({10}));
    if (kind == 1) world_.all_reduce_async(torch::ones({20}))->wait();
  }
  int64_t wrong() override { return 3; }
  int64_t groups() const override { return 5; }

 private:
  Communicator& world_;
};

TEST(StepMeter, WeighsTheKindsOfSteps) {
  SelfCommunicator world;
  StepMeter meter(
      world, [](Communicator& timed) { return std::make_unique<FakeSteps>(timed); }, torch::kCPU);
  for (int i = 0; i < 3; ++i) meter.round(i > 0);
  const auto t = meter.times();
  EXPECT_EQ(t.steps, 4);
  EXPECT_EQ(t.wrong, 3);
  EXPECT_EQ(meter.groups(), 5);
  EXPECT_GE(t.compute, 0.75 * 0.002 + 0.25 * 0.010);
  EXPECT_GE(t.step, t.compute);
  EXPECT_EQ(t.slowest, 0);
  EXPECT_EQ(t.lag, 0);
  EXPECT_EQ(t.hidden, 0);
  ASSERT_EQ(t.messages.size(), 2);
  EXPECT_EQ(t.messages[0].bytes, 40);
  EXPECT_DOUBLE_EQ(t.messages[0].per_step, 1);
  EXPECT_EQ(t.messages[1].bytes, 80);
  EXPECT_DOUBLE_EQ(t.messages[1].per_step, 0.25);
}

}  // namespace
}  // namespace stylescope
