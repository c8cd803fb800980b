#include "pipeline/sweep.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/run_directory.hpp"
#include "pipeline/sweep_table.hpp"
#include "tests/support/temp_dir.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::TempDir;
using Names = std::set<std::string>;

constexpr const char* kBase = "seed: 1\ningest: {source: phantom}\ndirection: {threshold: 0.5}\n";

std::string refusal(const std::string& sweep) {
  try {
    parse_sweep(sweep);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Sweep, AKeyAndItsValues) {
  const auto axis = parse_sweep("gan.r1_gamma=1,10,100");
  EXPECT_EQ("gan.r1_gamma", axis.key);
  EXPECT_THAT(axis.values, ElementsAre("1", "10", "100"));
}

TEST(Sweep, CommasWithinBracketsPartNoValues) {
  EXPECT_THAT(parse_sweep("explain.targets=[0.1,0.9],[0.5]").values,
              ElementsAre("[0.1,0.9]", "[0.5]"));
  EXPECT_THAT(parse_sweep("a.b='x,y',z").values, ElementsAre("'x,y'", "z"));
}

TEST(Sweep, WhatIsNoSweepIsRefused) {
  EXPECT_THAT(refusal("gan.batch"), HasSubstr("no key with values"));
  EXPECT_THAT(refusal("=1"), HasSubstr("no key with values"));
  EXPECT_THAT(refusal("gan.batch=1,,2"), HasSubstr("a value is missing"));
  EXPECT_THAT(refusal("gan.batch=8,16,8"), HasSubstr("8 is given twice"));
}

TEST(Sweep, EveryCombinationOnceTheLastChangingFastest) {
  const auto points = sweep_points({{"gan.batch", {"8", "16"}}, {"seed", {"1", "2"}}});
  std::vector<std::string> slugs;
  for (const auto& point : points) slugs.push_back(point.slug);
  EXPECT_THAT(slugs, ElementsAre("gan.batch=8+seed=1", "gan.batch=8+seed=2", "gan.batch=16+seed=1",
                                 "gan.batch=16+seed=2"));
  EXPECT_EQ((std::pair<std::string, std::string>{"seed", "2"}), points[1].values[1]);
}

TEST(Sweep, SlugsAreGoodFolderNamesAndDiffer) {
  EXPECT_EQ("classifier.init=a_b_c", sweep_points({{"classifier.init", {"a/b c"}}})[0].slug);
  EXPECT_THROW(sweep_points({{"classifier.init", {"a/b", "a b"}}}), UsageError);
  EXPECT_THROW(sweep_points({{"seed", {"1"}}, {"seed", {"2"}}}), UsageError);
}

Names shared_with(const std::vector<std::vector<std::string>>& overrides) {
  Config base = default_config({});
  std::vector<Config> points;
  for (const auto& point : overrides) points.push_back(default_config(point));
  return shared_stages(base, points);
}

TEST(Sweep, StagesBehindWhatIsSweptAreNotShared) {
  EXPECT_EQ((Names{"ingest", "classifier"}), shared_with({{"gan.kimg=1"}, {"gan.kimg=2"}}));
  EXPECT_EQ((Names{"ingest", "classifier", "gan", "synthesize", "direction"}),
            shared_with({{"encoder.epochs=91"}}));
}

TEST(Sweep, AStageIsSharedOnlyWhereAllPointsAgree) {
  EXPECT_EQ(Names{"ingest"}, shared_with({{"gan.kimg=1"}, {"classifier.epochs=91"}}));
}

TEST(Sweep, SeedAndPrecisionReachEveryStage) {
  EXPECT_EQ(Names{}, shared_with({{"seed=5"}}));
  EXPECT_EQ(Names{}, shared_with({{"precision=float64"}}));
}

TEST(Sweep, WhatNoResultDependsOnIsShared) {
  EXPECT_TRUE(shared_with({{"gan.log_every=7"}}).contains("gan"));
}

TEST(Sweep, APointHasItsOwnNameAndFolder) {
  TempDir dir;
  publish_text(dir / "base.yaml", kBase);
  const Config base = load_config(dir / "base.yaml", {});
  const auto point = sweep_points({{"seed", {"7"}}})[0];
  const Config config = point_config(dir / "base.yaml", {}, base, point);
  EXPECT_EQ(7, config.seed);
  EXPECT_EQ("base.seed=7", config.name);
  EXPECT_EQ("runs/base/sweep/seed=7", config.run_dir);
}

TEST(Sweep, KeysThatNoResultDependsOnAreRefused) {
  TempDir dir;
  publish_text(dir / "base.yaml", kBase);
  const Config base = load_config(dir / "base.yaml", {});
  for (const char* key : {"run_dir", "name", "images", "threads", "slurm.site", "gan"})
    EXPECT_THROW(point_config(dir / "base.yaml", {}, base, sweep_points({{key, {"1"}}})[0]),
                 UsageError)
        << key;
}

TEST(Sweep, ANameTooLongForAFolderIsRefused) {
  const std::string value(190, 'x');
  try {
    sweep_points({{"classifier.init", {value}}, {"seed", {"1"}}});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("fit into the name of a folder"));
  }
}

TEST(Sweep, RunsThatComeOutTheSameAreRefused) {
  const auto refused = [](const std::vector<std::string>& overrides) -> std::string {
    std::vector<SweepPoint> points;
    std::vector<Config> configs;
    for (const auto& value : overrides) {
      points.push_back({value, {}});
      configs.push_back(default_config({value}));
    }
    try {
      check_distinct(points, configs);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused({"gan.kimg=1", "gan.kimg=2", "gan.kimg=1.0"}),
              HasSubstr("gan.kimg=1 and gan.kimg=1.0 would come out the same"));
  EXPECT_THAT(refused({"gan.log_every=5", "gan.log_every=6"}), HasSubstr("come out the same"));
  EXPECT_EQ("", refused({"gan.kimg=1", "gan.kimg=2", "seed=9", "precision=float64"}));
}

TEST(Sweep, WhatIsWrongWithAValueIsSaidOfSweep) {
  TempDir dir;
  publish_text(dir / "base.yaml", kBase);
  const Config base = load_config(dir / "base.yaml", {});
  try {
    point_config(dir / "base.yaml", {}, base, sweep_points({{"gan.r1_gama", {"1"}}})[0]);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), StartsWith("--sweep gan.r1_gama=1: "));
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'gan.r1_gamma'?"));
  }
}

TEST(Sweep, LinksLeadToTheBaseRunAndAreTakenBack) {
  TempDir dir;
  const fs::path point = dir / "run/sweep/seed=1";
  fs::create_directories(point);
  link_shared(point, {"ingest", "gan"}, {"ingest", "gan", "report"});
  EXPECT_FALSE(fs::exists(point / "gan"));  // dangles
  fs::create_directories(dir / "run/gan");
  EXPECT_TRUE(fs::equivalent(point / "gan", dir / "run/gan"));
  EXPECT_FALSE(fs::is_symlink(point / "report"));

  link_shared(point, {"ingest"}, {"ingest", "gan", "report"});
  EXPECT_FALSE(fs::is_symlink(point / "gan"));
  EXPECT_TRUE(fs::is_symlink(point / "ingest"));
  EXPECT_TRUE(fs::exists(dir / "run/gan"));
}

TEST(Sweep, AFolderInThePlaceOfALinkIsKept) {
  TempDir dir;
  fs::create_directories(dir / "run/sweep/seed=1/gan");
  EXPECT_THROW(link_shared(dir / "run/sweep/seed=1", {"gan"}, {"gan"}), Error);
  EXPECT_TRUE(fs::is_directory(dir / "run/sweep/seed=1/gan"));
}

TEST(Sweep, AStageOfAPointsOwnTakesTheLinksPlace) {
  TempDir dir;
  const fs::path point = dir / "run/sweep/seed=1";
  fs::create_directories(dir / "run/gan");
  publish_text(dir / "run/gan/file", "of the base run");
  fs::create_directories(point);
  link_shared(point, {"gan"}, {"gan"});
  RunDirectory directory(point);
  directory.begin("gan", nlohmann::json::object());
  publish_text(point / "gan.partial/file", "its own");
  directory.publish("gan", nlohmann::json::object());
  EXPECT_FALSE(is_shared(point / "gan"));
  EXPECT_EQ("its own", read_text(point / "gan/file"));
  EXPECT_EQ("of the base run", read_text(dir / "run/gan/file"));
}

TEST(Sweep, ThePointsOfARunKnowIt) {
  TempDir dir;
  EXPECT_EQ("", base_of(dir / "run/sweep/seed=1"));
  record_sweep(dir / "run", {{sweep_points({{"seed", {"1"}}})[0], {}}});
  EXPECT_EQ(dir / "run", base_of(dir / "run/sweep/seed=1"));
  EXPECT_EQ("", base_of(dir / "run/other/seed=1"));
  EXPECT_EQ("", base_of(dir / "run"));
}

TEST(Sweep, RunsOfAnEarlierSweepStayRecorded) {
  TempDir dir;
  record_sweep(dir.path(), {{sweep_points({{"seed", {"1"}}})[0], {}}});
  record_sweep(dir.path(), {{sweep_points({{"seed", {"1"}}})[0], {"ingest"}},
                            {sweep_points({{"gan.batch", {"8"}}})[0], {"ingest"}}});
  const auto runs = read_sweep(dir.path());
  ASSERT_EQ(2u, runs.size());
  EXPECT_EQ("seed=1", runs[0].point.slug);
  EXPECT_EQ(Names{"ingest"}, runs[0].shared);
  EXPECT_EQ("8", runs[1].point.values.at(0).second);
  publish_text(dir / "sweep/sweep.json", "{");
  EXPECT_THROW(read_sweep(dir.path()), Error);
}

std::string state_of(const std::vector<StageState>& states) {
  std::vector<StageStatus> rows(states.size());
  for (size_t i = 0; i < states.size(); ++i) {
    rows[i].stage = std::string(1, static_cast<char>('a' + i));
    rows[i].state = states[i];
  }
  return sweep_state(rows);
}

TEST(SweepTable, AWordOrTwoForARun) {
  using State = StageState;
  EXPECT_EQ("done", state_of({State::done, State::done}));
  EXPECT_EQ("at work", state_of({State::done, State::running}));
  EXPECT_EQ("failed (b)", state_of({State::running, State::failed, State::blocked}));
  EXPECT_EQ("failed (c)", state_of({State::stopped, State::blocked, State::failed}));
  EXPECT_EQ("stopped (a)", state_of({State::stopped, State::blocked}));
  EXPECT_EQ("failed (b)", state_of({State::done, State::blocked}));
  EXPECT_EQ("stopped (b)", state_of({State::done, State::stopped}));
  EXPECT_EQ("waiting", state_of({State::done, State::not_started}));
}

std::vector<SweepResult> two_results() {
  const auto points = sweep_points({{"explain.targets", {"[0.1,0.9]", "[0.5]"}}});
  SweepResult done{points[0], "done", {}, {}};
  done.metrics["evaluate"] = {{"auc_f", 0.875}, {"note", "text"}, {"by", {{"n", 3}}}};
  done.all_metrics = done.metrics;
  done.all_metrics["encoder"] = {{"r2", 0.5}};
  return {done, {points[1], "failed", {}, {}}};
}

TEST(SweepTable, ShowsTheFiguresThatSomeRunHas) {
  EXPECT_EQ(
      "explain.targets  state   AUC f   encoder R2\n"
      "[0.1,0.9]        done    0.8750  0.5000\n"
      "[0.5]            failed  -       -\n",
      sweep_table(two_results()));
}

TEST(SweepTable, CsvHasAllNumbersOfTheRunsOwnStages) {
  EXPECT_EQ(
      "run,explain.targets,state,evaluate.auc_f,evaluate.by.n\n"
      "explain.targets=_0.1_0.9_,\"[0.1,0.9]\",done,0.875,3\n"
      "explain.targets=_0.5_,[0.5],failed,,\n",
      sweep_csv(two_results()));
}

}  // namespace
}  // namespace stylescope
