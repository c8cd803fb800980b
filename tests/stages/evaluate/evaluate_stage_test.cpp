// The evaluation of a tiny phantom run.
#include "stages/evaluate/evaluate_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/metrics/agreement.hpp"
#include "stages/metrics/ranking.hpp"
#include "tests/support/tiny_run.hpp"
#include "tests/support/world.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using nlohmann::json;
using testing_support::TinyRun;
using testing_support::world;

void explain(TinyRun& run) {
  ExplainConfig config;
  config.images = 4;
  config.steps = 5;
  config.targets = {0.5};
  auto context = run.context(world(), "explain");
  run_explain(config, context);
  world().barrier();
}

EvaluateConfig tiny_config() {
  EvaluateConfig config;
  config.bootstrap = 200;
  config.batch = 5;
  config.phantom_images = 7;
  return config;
}

json made_by(TinyRun& run, Communicator& ranks, const std::string& out) {
  auto context = run.context(ranks, out);
  run_evaluate(tiny_config(), context);
  ranks.barrier();
  return json::parse(read_text(run.path() / out / "evaluation.json"));
}

void expect_near(const json& a, const json& b, const std::string& where = "") {
  ASSERT_EQ(a.is_structured(), b.is_structured()) << where;
  ASSERT_EQ(a.size(), b.size()) << where;
  if (!a.is_structured()) {
    if (a.is_number() && b.is_number())
      EXPECT_NEAR(a.get<double>(), b.get<double>(), 1e-8) << where;
    else
      EXPECT_EQ(a, b) << where;
    return;
  }
  const auto flat = a.flatten();
  for (const auto& [path, value] : flat.items())
    expect_near(value, b.at(json::json_pointer(path)), where + path);
}

TEST(Evaluate, TheNumberOfRanksDoesNotChangeAFigure) {
  TinyRun run(world());
  explain(run);
  const auto together = made_by(run, world(), "together");
  if (!world().is_root()) return;
  SelfCommunicator self;
  expect_near(together, made_by(run, self, "alone"));
}

TEST(Evaluate, FiguresAreThoseOfTheTestSplit) {
  TinyRun run(world());
  explain(run);
  const auto e = made_by(run, world(), "made");
  if (!world().is_root()) return;
  const ImageSet images(run.path() / artifacts::images);
  const auto rows = images.indices(Split::test);
  auto f =
      load_classifier((run.path() / artifacts::classifier).string(), torch::kCPU, torch::kFloat64);
  std::vector<int64_t> labels;
  for (const auto row : rows) labels.push_back(images.record(row).label);
  const auto truth = torch::tensor(labels, torch::kLong), scores = f.scores(images.read(rows));
  EXPECT_EQ(e["images"], rows.size());
  EXPECT_EQ(e["subjects"], 8);
  EXPECT_NEAR(e["f_true_label"]["auc"]["value"].get<double>(), auc(truth, scores), 1e-9);
  EXPECT_NEAR(e["f_true_label"]["accuracy"].get<double>(), accuracy(truth, scores, 0.5), 1e-9);
  EXPECT_LE(e["f_true_label"]["auc"]["low"], e["f_true_label"]["auc"]["value"]);
  EXPECT_GE(e["f_true_label"]["auc"]["high"], e["f_true_label"]["auc"]["value"]);
  EXPECT_EQ(e["surrogate_f_label"]["images"], 24);
  EXPECT_EQ(e["strips"]["images"], 4);
  EXPECT_EQ(e["phantom"]["images"], 7);
  EXPECT_GT(e["phantom"]["ratio"]["value"].get<double>(), 0);
  EXPECT_GT(e["phantom"]["measured_width_pearson"].get<double>(), 0.5)
      << "the measurement must see the drawn width";
  EXPECT_EQ(e["phantom"]["moves"].is_string(), true);
  // Of all that is known of a drawn knee, the strongest first, and with f as it is.
  ASSERT_EQ(e["associations"].size(), 8);
  for (size_t i = 1; i < 8; ++i)
    EXPECT_GE(std::abs(e["associations"][i - 1]["within_label"]["value"].get<double>()),
              std::abs(e["associations"][i]["within_label"]["value"].get<double>()));
  for (const auto& one : e["associations"]) {
    std::vector<double> values;
    for (const auto row : rows)
      values.push_back(images.record(row).attributes.at(one["attribute"].get<std::string>()));
    EXPECT_NEAR(one["overall"]["value"].get<double>(),
                spearman(torch::tensor(values, torch::kFloat64), scores), 1e-9)
        << one["attribute"];
    EXPECT_LE(one["overall"]["low"], one["overall"]["high"]);
  }
}

TEST(Evaluate, MissingExplanationsAreNamed) {
  TinyRun run(world());
  auto context = run.context(world(), "out");
  try {
    run_evaluate(tiny_config(), context);
    FAIL() << "no Error was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(artifacts::explanations), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace stylescope
