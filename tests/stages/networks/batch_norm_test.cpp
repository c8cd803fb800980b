#include "stages/networks/batch_norm.hpp"

#include "io/base/error.hpp"
#include "stages/networks/resnet.hpp"
#include "stages/networks/resnet_io.hpp"
#include "tests/support/golden.hpp"

#include <map>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

void no_reduction(torch::Tensor&) {}

ResNet small_network(uint64_t seed) {
  ResNetOptions options;
  options.depth = 18;
  options.stem = "small";
  options.input_channels = 1;
  options.outputs = 3;
  options.width = 6;
  ResNet network(options);
  network->to(torch::kFloat64);
  initialize(network, seed, false);
  return network;
}

torch::Tensor images(const std::string& name) { return golden::values(name, 1, {4, 1, 16, 16}); }

// Two groups of the same size: the loss of the whole batch is the mean of the groups' losses.
torch::Tensor group_loss(ResNet& network, const std::string& name) {
  return network(images(name)).square().mean() / 2;
}

std::map<std::string, torch::Tensor> by_name(ResNet& network) {
  const auto state = state_dict(network);
  return {state.begin(), state.end()};
}

TEST(BatchNorm, IsTheOrdinaryOneForOneGroup) {
  BatchNorm ours(5);
  torch::nn::BatchNorm2d theirs(5);
  ours->to(torch::kFloat64);
  theirs->to(torch::kFloat64);
  ours->running_mean.copy_(golden::values("bn.mean", 1, {5}));
  theirs->running_mean.copy_(ours->running_mean);
  for (int step = 0; step < 3; ++step) {
    const auto x = golden::values("bn.x" + std::to_string(step), 1, {4, 5, 3, 2}, 0.4, 2);
    EXPECT_LE(golden::relative_error(ours(x), theirs(x)), 1e-14);
    ours->fold(ours->mean_sum, ours->var_sum);
  }
  EXPECT_LE(golden::relative_error(ours->running_mean, theirs->running_mean), 1e-13);
  EXPECT_LE(golden::relative_error(ours->running_var, theirs->running_var), 1e-13);
  EXPECT_EQ(ours->num_batches_tracked.item<int64_t>(), 3);
  ours->eval();
  theirs->eval();
  const auto x = golden::values("bn.eval", 1, {2, 5, 3, 3});
  EXPECT_LE(golden::relative_error(ours(x), theirs(x)), 1e-13);
  EXPECT_FALSE(ours->mean_sum.defined());
}

TEST(BatchNorm, SumsFollowTheFormula) {
  BatchNorm norm(3);
  norm->to(torch::kFloat64);
  const auto a = golden::values("bn.a", 1, {4, 3, 5, 5}, 1, 2),
             b = golden::values("bn.b", 1, {2, 3, 5, 5}, -1, 0.5);
  norm(a);
  norm(b);
  const auto mean = a.mean({0, 2, 3}) + b.mean({0, 2, 3});
  const auto variance = a.var({0, 2, 3}, true) + b.var({0, 2, 3}, true);
  EXPECT_LE(golden::relative_error(norm->mean_sum, mean), 1e-13);
  EXPECT_LE(golden::relative_error(norm->var_sum, variance), 1e-13);
}

TEST(BatchNorm, RefusesASingleValue) {
  BatchNorm norm(3);
  EXPECT_THROW(norm(torch::zeros({1, 3, 1, 1})), Error);
}

// One rank that sends both groups through one after the other, and two ranks with a group each.
TEST(BatchNorm, GroupsMayLieOnAnyRank) {
  auto together = small_network(1), first = small_network(1), second = small_network(1),
       idle = small_network(1);
  group_loss(together, "bn.group0").backward();
  group_loss(together, "bn.group1").backward();
  group_loss(first, "bn.group0").backward();
  group_loss(second, "bn.group1").backward();

  std::vector<torch::Tensor> sums;
  const auto collect = [&](torch::Tensor& flat) { sums.push_back(flat.clone()); };
  update_running_statistics(together, 2, no_reduction);
  // What the ranks would send, gathered from copies that fold by themselves.
  auto first_copy = small_network(1), second_copy = small_network(1);
  group_loss(first_copy, "bn.group0");
  group_loss(second_copy, "bn.group1");
  update_running_statistics(first_copy, 1, collect);
  update_running_statistics(second_copy, 1, collect);
  const auto total = sums[0] + sums[1];
  const auto all_reduced = [&](torch::Tensor& flat) { flat.copy_(total); };
  update_running_statistics(first, 1, all_reduced);
  update_running_statistics(second, 1, all_reduced);
  update_running_statistics(idle, 0, all_reduced);

  const auto state = by_name(together), alone = by_name(first_copy), other = by_name(second_copy);
  for (auto* network : {&first, &second, &idle}) {
    for (const auto& [key, tensor] : by_name(*network)) {
      EXPECT_LE(golden::relative_error(tensor, state.at(key), 1e-3), 1e-12) << key;
    }
  }
  // Folding is linear: two groups give the mean of what each gives alone.
  for (const auto& [key, tensor] : state) {
    if (key.find("running") == std::string::npos) continue;
    EXPECT_LE(golden::relative_error(tensor, 0.5 * (alone.at(key) + other.at(key)), 1e-3), 1e-12)
        << key;
  }
  const auto gradients = together->named_parameters();
  for (const auto& item : gradients) {
    const auto expected = first->named_parameters()[item.key()].grad() +
                          second->named_parameters()[item.key()].grad();
    EXPECT_LE(golden::relative_error(item.value().grad(), expected, 1e-9), 1e-12) << item.key();
  }
}

TEST(BatchNorm, GroupsAreNotTheWholeBatch) {
  auto grouped = small_network(1), whole = small_network(1);
  group_loss(grouped, "bn.group0").backward();
  group_loss(grouped, "bn.group1").backward();
  whole(torch::cat({images("bn.group0"), images("bn.group1")})).square().mean().backward();
  EXPECT_GT(golden::relative_error(grouped->parameters()[0].grad(), whole->parameters()[0].grad()),
            1e-3);
}

TEST(BatchNorm, AWorldWithoutGroupsIsABug) {
  auto network = small_network(1);
  EXPECT_THROW(update_running_statistics(network, 0, no_reduction), std::logic_error);
  EXPECT_THROW(update_running_statistics(network, 1, no_reduction), std::logic_error);
}

}  // namespace
}  // namespace stylescope
