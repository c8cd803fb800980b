#include "stages/networks/state.hpp"
#include "stages/script/network_script.hpp"
#include "tests/stages/networks/golden_networks.hpp"
#include "tests/stages/script/script_file.hpp"

#include <cmath>
#include <map>

// G as TorchScript gives what our G gives, on the golden weights of g64 and of g32c (conditional).
namespace stylescope::testing_support {
namespace {

class GeneratorScript : public GoldenNetworks {};
INSTANTIATE_TEST_SUITE_P(, GeneratorScript,
                         testing::Values(GoldenCase{"g64", "cpu"}, GoldenCase{"g32c", "cpu"}),
                         case_name);

TEST_P(GeneratorScript, GivesTheSameImages) {
  const torch::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    precision(dtype);
    for (const double clamp : {0.0, 1.0}) {
      auto g = generator(clamp);
      auto script = through_a_file(script_generator(g));
      const auto w = g->map(z(2), c(2));
      const auto images = g->synthesize(g->broadcast(w));
      const std::vector<c10::IValue> inputs =
          big() ? std::vector<c10::IValue>{z(2)} : std::vector<c10::IValue>{z(2), c(2)};
      expect_same(call(script, "map", inputs), w);
      expect_same(call(script, "synthesize", {w}), images);
      expect_same(call(script, "forward", inputs), images);
      expect_same(call(script, "forward", inputs, {{"psi", 0.7}}),
                  g->synthesize(g->truncate(g->broadcast(w), 0.7)));
      expect_same(call(script, "synthesize", {input("ws_in")}), g->synthesize(input("ws_in")));
      const Noise none{Noise::Mode::none, {}};
      expect_same(call(script, "synthesize", {w}, {{"noise", false}}),
                  g->synthesize(g->broadcast(w), none));
    }
  }
}

TEST_P(GeneratorScript, GivesTheGoldenImages) {
  const torch::NoGradGuard no_grad;
  auto g = generator();
  auto script = through_a_file(script_generator(g));
  const auto w = g->map(z(), c());
  expect("out/img_const", call(script, "synthesize", {w.narrow(0, 0, 2)}));
  expect("out/img_wsgiven_const", call(script, "synthesize", {input("ws_in")}));
}

TEST_P(GeneratorScript, CarriesNamesAndFacts) {
  auto g = generator();
  auto script = through_a_file(script_generator(g));
  std::map<std::string, torch::Tensor> stored;
  for (const auto& item : script.named_parameters()) stored[item.name] = item.value;
  for (const auto& item : script.named_buffers()) stored[item.name] = item.value;
  const auto state = state_of(*g);
  EXPECT_EQ(stored.size(), state.size());
  for (const auto& [name, tensor] : state) {
    ASSERT_TRUE(stored.contains(name)) << name;
    EXPECT_TRUE(stored.at(name).equal(tensor)) << name;
    EXPECT_FALSE(stored.at(name).requires_grad()) << name;
  }
  EXPECT_EQ(script.attr("resolution").toInt(), resolution());
  EXPECT_EQ(script.attr("num_ws").toInt(), g->options().num_ws());
  EXPECT_FALSE(script.is_training());
}

TEST_P(GeneratorScript, GivesBytesAsTheRunsDo) {
  precision(torch::kFloat32);
  auto g = generator();
  auto script = through_a_file(script_generator(g));
  const auto images =
      torch::tensor({-2.0F, -1.0F, 0.0F, 0.25F, 0.999F, 1.0F, 3.0F, NAN}).view({1, 1, 2, 4});
  const auto bytes = call(script, "pixels", {images});
  EXPECT_EQ(bytes.scalar_type(), torch::kUInt8);
  const auto expected = torch::tensor({0, 0, 128, 159, 255, 255, 255, 0}, torch::kUInt8);
  EXPECT_TRUE(bytes.flatten().equal(expected)) << bytes;
}

TEST_P(GeneratorScript, SaysWhatDoesNotFit) {
  auto g = generator();
  auto script = through_a_file(script_generator(g));
  const auto says = [&](const char* function, std::vector<c10::IValue> inputs) -> std::string {
    try {
      call(script, function, std::move(inputs));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  };
  const auto odd = torch::zeros({2, 7}, torch::kFloat64);
  EXPECT_NE(says("forward", {odd}).find(big() ? "z must be (N, 512)" : "z must be (N, 64)"),
            std::string::npos);
  EXPECT_NE(says("synthesize", {odd}).find("w must be (N, "), std::string::npos);
  const auto label = torch::zeros({2, 3}, torch::kFloat64);
  if (big())
    EXPECT_NE(says("map", {z(2), label}).find("not conditional"), std::string::npos);
  else
    EXPECT_NE(says("map", {z(2)}).find("give one-hot labels c"), std::string::npos);
}

}  // namespace
}  // namespace stylescope::testing_support
