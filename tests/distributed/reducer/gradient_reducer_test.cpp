// Gradients reduced in buckets while backward runs, against the plain sum of all ranks' gradients.
#include "distributed/gradient_reducer.hpp"

#include "io/base/error.hpp"
#include "tests/support/world.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::world;

// Forwards everything and notes what was asked for.
class CountingWorld final : public Communicator {
 public:
  int rank() const override { return world().rank(); }
  int size() const override { return world().size(); }
  const char* backend() const override { return world().backend(); }
  std::unique_ptr<Communicator> split(int color) override { return world().split(color); }
  void doing(const char* activity, int64_t step) override { world().doing(activity, step); }
  void long_work(bool begins) override { world().long_work(begins); }
  void set_deadlines(const Deadlines& deadlines) override { world().set_deadlines(deadlines); }
  [[noreturn]] void abort(int code, const std::string& cause) override {
    world().abort(code, cause);
  }

  int64_t blocking = 0;
  std::vector<torch::Tensor> started;  // in this order

 protected:
  void run(const Collective& call) override {
    ++blocking;
    world().all_reduce(call.output, call.input, call.op);
  }
  std::unique_ptr<Work> start(const Collective& call) override {
    started.push_back(call.output);
    return world().all_reduce_async(call.output, call.input, call.op);
  }
};

// Three layers of 8 -> 8 and a parameter that no phase uses, flat.
struct Model {
  explicit Model(torch::Dtype dtype = torch::kFloat64) {
    int64_t offset = 0;
    const std::vector<std::vector<int64_t>> shapes{{8, 8}, {8}, {5}, {8, 8}, {8}, {8, 8}, {8}};
    int64_t total = 0;
    for (const auto& shape : shapes) total += c10::multiply_integers(shape);
    gradients = torch::zeros({total}, dtype);
    for (const auto& shape : shapes) {
      const auto n = c10::multiply_integers(shape);
      auto p = torch::arange(offset, offset + n, torch::kFloat64).mul(0.37).sin().mul(0.4);
      p = p.to(dtype).view(shape).clone().requires_grad_(true);
      p.mutable_grad() = gradients.narrow(0, offset, n).view(shape);
      parameters.push_back(p);
      offset += n;
    }
  }
  // A rank's own input.
  torch::Tensor input(int rank, int64_t pass = 0) const {
    return torch::arange(24, torch::kFloat64)
        .add(static_cast<double>(31 * rank + 7 * pass))
        .sin()
        .view({3, 8})
        .to(gradients.dtype());
  }
  torch::Tensor forward(const torch::Tensor& x) const {
    auto y = torch::tanh(torch::linear(x, parameters[0], parameters[1]));
    y = torch::tanh(torch::linear(y, parameters[3], parameters[4]));
    return torch::linear(y, parameters[5], parameters[6]);
  }
  torch::Tensor loss(const torch::Tensor& x) const { return forward(x).square().sum(); }
  // As R1: the gradient's square, differentiated.
  torch::Tensor penalty(torch::Tensor x) const {
    x.requires_grad_(true);
    return torch::autograd::grad({forward(x).sum()}, {x}, {}, true, true)[0].square().sum();
  }

  std::vector<torch::Tensor> parameters;
  torch::Tensor gradients;
};

ReducerOptions pieces_of(int64_t elements, int64_t element_size = 8) {
  ReducerOptions options;
  options.bucket_mb = static_cast<double>(elements * element_size) * 1e-6;
  return options;
}

// What the reducer must give: every rank's own gradient by backward alone, then one sum.
torch::Tensor plain_sum(const std::function<void(Model&)>& backward,
                        torch::Dtype dtype = torch::kFloat64) {
  Model model(dtype);
  backward(model);
  world().all_reduce(model.gradients);
  return model.gradients;
}

void expect_sum(const torch::Tensor& actual, const torch::Tensor& expected) {
  EXPECT_LE((actual - expected).abs().max().item<double>(),
            1e-12 * (1 + expected.abs().max().item<double>()));
  EXPECT_GT(expected.abs().max().item<double>(), 0);
  // The same bits on every rank.
  auto of_root = actual.clone();
  world().broadcast(of_root, 0);
  EXPECT_TRUE(torch::equal(of_root, actual));
}

TEST(BucketBorders, LieBetweenParametersAndAreFoundFromTheEnd) {
  // 200 bytes a bucket, a quarter of that for the first to leave.
  EXPECT_EQ(bucket_borders({10, 20, 30, 40}, 4, {0.0002, "native"}),
            (std::vector<int64_t>{0, 10, 60, 100}));
  EXPECT_EQ(bucket_borders({10, 20, 30, 40}, 8, {0.0002, "native"}),
            (std::vector<int64_t>{0, 30, 60, 100}));
  EXPECT_EQ(bucket_borders({1000}, 4, {0.0002, "native"}), (std::vector<int64_t>{0, 1000}));
}

TEST(GradientReducer, BucketsAreCutAtParametersFromTheEnd) {
  Model model;  // sizes 64 8 5 64 8 64 8
  GradientReducer reducer(world(), model.parameters, model.gradients, pieces_of(72));
  // The first to leave needs a quarter only, here that of one layer.
  EXPECT_EQ(reducer.borders(), (std::vector<int64_t>{0, 77, 149, 221}));
  GradientReducer whole(world(), model.parameters, model.gradients, pieces_of(100'000));
  EXPECT_EQ(whole.borders(), (std::vector<int64_t>{0, 221}));
  GradientReducer each(world(), model.parameters, model.gradients, pieces_of(1));
  EXPECT_EQ(each.borders(), (std::vector<int64_t>{0, 64, 72, 77, 141, 149, 213, 221}));
}

TEST(GradientReducer, GivesThePlainSumWhateverTheBuckets) {
  const auto backward = [](Model& m) { m.loss(m.input(world().rank())).backward(); };
  const auto expected = plain_sum(backward);
  for (const int64_t elements : {1, 72, 100'000}) {
    Model model;
    CountingWorld counting;
    GradientReducer reducer(counting, model.parameters, model.gradients, pieces_of(elements));
    reducer.begin();
    reducer.arm();
    backward(model);
    reducer.finish();
    expect_sum(model.gradients, expected);
    // In one piece the ranks are added up as by a plain all_reduce.
    if (elements == 100'000) {
      EXPECT_TRUE(torch::equal(model.gradients, expected));
    }
    if (world().size() == 1) {
      EXPECT_TRUE(counting.started.empty());
      continue;
    }
    ASSERT_EQ(counting.started.size(), reducer.borders().size() - 1);
    // From the end of the buffer to its beginning.
    for (size_t i = 0; i + 1 < counting.started.size(); ++i)
      EXPECT_GT(counting.started[i].data_ptr<double>(), counting.started[i + 1].data_ptr<double>());
  }
}

TEST(GradientReducer, BucketsLeaveWhileBackwardRuns) {
  if (world().size() == 1) GTEST_SKIP() << "nothing leaves in a world of one";
  Model model;
  CountingWorld counting;
  GradientReducer reducer(counting, model.parameters, model.gradients, pieces_of(72));
  reducer.begin();
  reducer.arm();
  // When the gradient comes to the first layer, the two others have theirs.
  size_t left_by_then = 0;
  const auto first = torch::tanh(
      torch::linear(model.input(world().rank()), model.parameters[0], model.parameters[1]));
  first.register_hook([&](const torch::Tensor&) { left_by_then = counting.started.size(); });
  const auto y = torch::tanh(torch::linear(first, model.parameters[3], model.parameters[4]));
  torch::linear(y, model.parameters[5], model.parameters[6]).square().sum().backward();
  EXPECT_EQ(left_by_then, 2U);
  // The last bucket also holds the parameter that is not used: it leaves in finish().
  EXPECT_EQ(counting.started.size(), 2U);
  reducer.finish();
  EXPECT_EQ(counting.started.size(), 3U);
  const auto figures = reducer.figures();
  EXPECT_EQ(figures.buckets, 3);
  EXPECT_EQ(figures.bytes, 221 * 8);
  EXPECT_GT(figures.exposed, 0);
  EXPECT_GE(figures.hidden(), 0);
  EXPECT_LE(figures.hidden(), 1);
  reducer.reset_figures();
  EXPECT_EQ(reducer.figures().bytes, 0);
}

// As a GAN does while the other network's phase runs.
TEST(GradientReducer, ParametersMayBeSwitchedOffAndOn) {
  if (world().size() == 1) GTEST_SKIP() << "nothing leaves in a world of one";
  Model model;
  CountingWorld counting;
  GradientReducer reducer(counting, model.parameters, model.gradients, pieces_of(72));
  for (int phase = 1; phase <= 3; ++phase) {
    for (auto& p : model.parameters) p.set_requires_grad(false);
    EXPECT_FALSE(model.loss(model.input(0)).requires_grad());
    for (auto& p : model.parameters) p.set_requires_grad(true);
    counting.started.clear();
    reducer.begin();
    reducer.arm();
    model.loss(model.input(world().rank())).backward();
    EXPECT_EQ(counting.started.size(), 2U) << "in phase " << phase;
    reducer.finish();
  }
}

TEST(GradientReducer, ParametersWithoutAGradientStayZero) {
  const auto backward = [](Model& m) {  // the last layer alone
    torch::linear(m.input(world().rank()), m.parameters[5]).square().sum().backward();
  };
  const auto expected = plain_sum(backward);
  Model model;
  GradientReducer reducer(world(), model.parameters, model.gradients, pieces_of(1));
  reducer.begin();
  reducer.arm();
  backward(model);
  reducer.finish();
  expect_sum(model.gradients, expected);
  EXPECT_EQ(model.gradients.narrow(0, 0, 149).abs().max().item<double>(), 0);
}

TEST(GradientReducer, RanksWithoutSamplesNeverCallBackward) {
  const bool idle = world().size() > 1 && world().rank() == world().size() - 1;
  for (const bool armed : {true, false}) {
    const auto backward = [&](Model& m) {
      if (!idle) m.loss(m.input(world().rank())).backward();
    };
    const auto expected = plain_sum(backward);
    Model model;
    GradientReducer reducer(world(), model.parameters, model.gradients, pieces_of(72));
    for (int phase = 0; phase < 3; ++phase) {
      model.gradients.zero_();
      reducer.begin();
      if (!idle || armed) reducer.arm();
      backward(model);
      reducer.finish();
      expect_sum(model.gradients, expected);
    }
  }
}

TEST(GradientReducer, AccumulatesWithoutCommunication) {
  constexpr int64_t kPasses = 3;
  const auto expected = plain_sum([](Model& m) {
    for (int64_t pass = 0; pass < kPasses; ++pass) m.loss(m.input(world().rank(), pass)).backward();
  });
  Model model;
  CountingWorld counting;
  GradientReducer reducer(counting, model.parameters, model.gradients, pieces_of(72));
  reducer.begin();
  for (int64_t pass = 0; pass < kPasses; ++pass) {
    EXPECT_TRUE(counting.started.empty());
    if (pass + 1 == kPasses) reducer.arm();
    model.loss(model.input(world().rank(), pass)).backward();
  }
  reducer.finish();
  expect_sum(model.gradients, expected);
  EXPECT_EQ(counting.started.size(), world().size() == 1 ? 0U : 3U);
  EXPECT_EQ(counting.blocking, 0);
}

TEST(GradientReducer, DoubleBackward) {
  const auto backward = [](Model& m) { m.penalty(m.input(world().rank())).backward(); };
  const auto expected = plain_sum(backward);
  Model model;
  GradientReducer reducer(world(), model.parameters, model.gradients, pieces_of(1));
  reducer.begin();
  reducer.arm();  // the inner pass, which makes no gradient of a parameter, starts nothing
  backward(model);
  reducer.finish();
  expect_sum(model.gradients, expected);
}

TEST(GradientReducer, LayoutIsRestored) {
  Model model;
  GradientReducer reducer(world(), model.parameters, model.gradients, pieces_of(1));
  const std::vector<int64_t> borders{0, 77, 213, 221};
  reducer.set_borders(borders);
  EXPECT_EQ(reducer.borders(), borders);
  const auto backward = [](Model& m) { m.loss(m.input(world().rank())).backward(); };
  reducer.begin();
  reducer.arm();
  backward(model);
  reducer.finish();
  expect_sum(model.gradients, plain_sum(backward));
  for (const auto& wrong : std::vector<std::vector<int64_t>>{
           {}, {0}, {0, 220}, {0, 65, 221}, {64, 221}, {0, 72, 72, 221}, {0, 72, 64, 221}})
    EXPECT_THROW(reducer.set_borders(wrong), Error) << wrong;
  EXPECT_EQ(reducer.borders(), borders);
}

TEST(GradientReducer, Bfloat16OnTheWire) {
  const auto backward = [](Model& m) { m.loss(m.input(world().rank())).backward(); };
  // bfloat16 has 8 significant bits: rounding moves a value by at most 2^-8 of it. That happens to
  // each rank's own value and to the n - 1 partial sums.
  Model own(torch::kFloat32);
  backward(own);
  auto magnitude = own.gradients.abs();
  world().all_reduce(magnitude);
  const auto expected = plain_sum(backward, torch::kFloat32);
  Model model(torch::kFloat32);
  auto options = pieces_of(72, 4);
  options.wire = "bfloat16";
  GradientReducer reducer(world(), model.parameters, model.gradients, options);
  reducer.begin();
  reducer.arm();
  backward(model);
  reducer.finish();
  const double n = world().size();
  const auto bound = magnitude * (n * 1.02 / 256) + std::numeric_limits<float>::min();
  const auto error = (model.gradients - expected).abs();
  EXPECT_TRUE(error.le(bound).all().item<bool>()) << (error / bound).max();
  auto of_root = model.gradients.clone();
  world().broadcast(of_root, 0);
  EXPECT_TRUE(torch::equal(of_root, model.gradients));
  if (world().size() == 1) {
    EXPECT_TRUE(torch::equal(model.gradients, expected)) << "alone, nothing is rounded";
  } else {
    EXPECT_GT(error.max().item<double>(), 0) << "nothing was rounded?";
    EXPECT_EQ(reducer.figures().bytes, 221 * 2);
  }
}

TEST(GradientReducer, HooksRestWhenTheReducerIsGone) {
  const auto backward = [](Model& m) { m.loss(m.input(world().rank())).backward(); };
  Model model, alone;
  CountingWorld counting;
  torch::Tensor graph;  // keeps the accumulators, and the hooks with them
  {
    GradientReducer reducer(counting, model.parameters, model.gradients, pieces_of(1));
    graph = model.loss(model.input(world().rank()));
    reducer.begin();
    reducer.arm();
  }
  graph.backward();
  backward(alone);
  EXPECT_TRUE(counting.started.empty());
  EXPECT_TRUE(torch::equal(model.gradients, alone.gradients));
  // Another one on the same parameters is not disturbed.
  model.gradients.zero_();
  GradientReducer second(world(), model.parameters, model.gradients, pieces_of(72));
  second.begin();
  second.arm();
  backward(model);
  second.finish();
  expect_sum(model.gradients, plain_sum(backward));
}

TEST(GradientReducer, FindsOurOwnMistakes) {
  Model model;
  GradientReducer reducer(world(), model.parameters, model.gradients, pieces_of(100'000));
  const auto moved = model.parameters[2].grad().clone();
  const auto place = model.parameters[2].grad();
  model.parameters[2].mutable_grad() = moved;
  EXPECT_THROW(reducer.finish(), std::logic_error);
  model.parameters[2].mutable_grad() = place;
  if (world().size() == 1) return;
  reducer.begin();
  reducer.arm();
  EXPECT_THROW(reducer.arm(), std::logic_error);
  EXPECT_THROW(reducer.begin(), std::logic_error);
  model.loss(model.input(world().rank())).backward();
  EXPECT_THROW(model.loss(model.input(world().rank())).backward(), std::logic_error);
  reducer.finish();
}

}  // namespace
}  // namespace stylescope
