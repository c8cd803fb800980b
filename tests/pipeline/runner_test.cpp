#include "pipeline/runner.hpp"

#include "distributed/host.hpp"
#include "io/log.hpp"
#include "io/stage_state.hpp"
#include "pipeline/config.hpp"
#include "pipeline/file_lock.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/provenance.hpp"
#include "tests/pipeline/fake_graph.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing_support::FakeGraph;

json read_json(const fs::path& file) { return json::parse(read_text(file)); }

template <class Call>
std::string failure(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no failure";
}

TEST(Runner, RunsOnceAndIsThenUpToDate) {
  FakeGraph graph;
  graph.run();
  graph.run();
  EXPECT_EQ(graph.runs(), "111");
  EXPECT_EQ(read_text(graph.settings.run_dir / "end/result.txt"),
            "end1(source1)(middle1(source1))");
  EXPECT_FALSE(fs::exists(graph.settings.run_dir / "end.partial"));
  EXPECT_EQ(read_text(graph.settings.run_dir / "config.yaml"), "name: fake\n");
}

TEST(Runner, StageJsonSaysHowItWasMade) {
  FakeGraph graph;
  graph.run();
  const json record = read_json(graph.settings.run_dir / "middle/stage.json");
  EXPECT_EQ(record.at("stage"), "middle");
  EXPECT_EQ(record.at("config").at("value"), 1);
  EXPECT_EQ(record.at("key").at("seed"), 0);
  EXPECT_EQ(record.at("key").at("inputs").at("source").get<std::string>().size(), 64u);
  EXPECT_EQ(record.at("world_size"), 1);
  EXPECT_EQ(record.at("threads"), 1);
  EXPECT_EQ(record.at("sessions"), 1);
  EXPECT_EQ(record.at("metrics").at("length"), 16);
  EXPECT_EQ(record.at("program").at("version"), program_version());
  EXPECT_TRUE(record.at("libraries").contains("HDF5"));
  EXPECT_EQ(record.at("hosts").at(0), host_name());
  const std::string text = "middle1(source1)";
  EXPECT_EQ(record.at("outputs").at("result.txt").at("size"), text.size());
  EXPECT_FALSE(record.at("outputs").contains("resume.json"));
  EXPECT_FALSE(fs::exists(graph.settings.run_dir / "middle/resume.json"));
  const json manifest = read_json(graph.settings.run_dir / "manifest.json");
  EXPECT_EQ(manifest.at("stages").at("middle"), record);
  EXPECT_EQ(manifest.at("stages").size(), 3u);
}

TEST(Runner, ChangedConfigurationRunsItAndWhatFollowsAndKeepsTheOld) {
  FakeGraph graph;
  graph.run();
  graph.middle.value = 2;
  graph.run();
  EXPECT_EQ(graph.runs(), "122");
  EXPECT_EQ(read_text(graph.settings.run_dir / "middle.old-1/result.txt"), "middle1(source1)");
  EXPECT_EQ(read_text(graph.settings.run_dir / "middle/result.txt"), "middle2(source1)");
  graph.middle.value = 3;
  graph.run();
  EXPECT_TRUE(fs::exists(graph.settings.run_dir / "middle.old-2/result.txt"));
}

TEST(Runner, SameResultOfAnInputLeavesTheRestUpToDate) {
  FakeGraph graph;
  graph.source.value = 2;
  graph.run();
  graph.source.value = 4;
  graph.source_divisor = 2;  // 4 / 2: the same file as before
  graph.run();
  EXPECT_EQ(graph.runs(), "211");
}

TEST(Runner, HowOftenToCheckpointIsNoReason) {
  FakeGraph graph;
  graph.run();
  graph.middle.checkpoint.minutes = 99;
  graph.run();
  EXPECT_EQ(graph.runs(), "111");
}

TEST(Runner, SeedPrecisionFormatDamageAndStrictAreReasons) {
  FakeGraph graph;
  graph.run();
  const auto reason = [&] { return graph.forecast().front().reason; };
  EXPECT_EQ(reason(), "");
  graph.settings.key.seed = 7;
  EXPECT_EQ(reason(), "configuration: 'seed' was 0, is 7");
  graph.settings.key.seed = 0;
  graph.settings.key.precision = "float64";
  EXPECT_THAT(reason(), HasSubstr("'precision' was \"float32\""));
  graph.settings.key.precision = "float32";
  auto stages = graph.stages();
  stages[0].format = 2;
  EXPECT_EQ(decide(stages[0], graph.settings.key, RunDirectory(graph.settings.run_dir), {}).reason,
            "format version of the stage: was 1, is 2");

  auto record = read_json(graph.settings.run_dir / "source/stage.json");
  record["program"]["version"] = "0.0.1";
  publish_text(graph.settings.run_dir / "source/stage.json", record.dump());
  EXPECT_EQ(graph.forecast().front().action, Action::up_to_date);
  EXPECT_THAT(graph.forecast().front().notes.at(0), HasSubstr("0.0.1"));
  graph.settings.key.strict = true;
  EXPECT_THAT(reason(), HasSubstr("--strict"));
  graph.settings.key.strict = false;

  fs::remove(graph.settings.run_dir / "source/result.txt");
  EXPECT_EQ(reason(), "its file result.txt is missing or changed");
}

TEST(Runner, ForecastNamesTheFirstReasonOfEach) {
  FakeGraph graph;
  auto plan = graph.forecast();
  EXPECT_EQ(plan[0].reason, "not there yet");
  EXPECT_EQ(plan[2].action, Action::start);
  EXPECT_FALSE(fs::exists(graph.settings.run_dir)) << "a forecast changes nothing";
  graph.run();
  graph.source.value = 5;
  plan = graph.forecast();
  EXPECT_EQ(plan[0].reason, "configuration: 'source.value' was 1, is 5");
  EXPECT_EQ(plan[1].action, Action::depends);
  EXPECT_EQ(plan[1].reason, "runs if 'source' comes out otherwise");
  EXPECT_EQ(plan[2].action, Action::depends);
}

TEST(Runner, FilesOutsideCountAndMayBeGoneAfterwards) {
  FakeGraph graph;
  graph.outside = "";
  EXPECT_THAT(failure([&] { graph.run(); }), HasSubstr("is not there"));
  EXPECT_FALSE(fs::exists(graph.settings.run_dir));
  graph.outside = "data 1";
  graph.run();
  graph.outside = "";
  graph.run();
  EXPECT_EQ(graph.runs(), "111");
  graph.outside = "data 2";
  EXPECT_EQ(graph.forecast().front().reason, "the files that it reads from outside changed");
}

TEST(Runner, FailedStageGoesOnFromItsPartialFolder) {
  FakeGraph graph;
  graph.fail_in = "middle";
  EXPECT_EQ(failure([&] { graph.run(); }), "stage failed");
  EXPECT_TRUE(fs::exists(graph.settings.run_dir / "middle.partial/half.txt"));
  EXPECT_FALSE(fs::exists(graph.settings.run_dir / "middle"));
  EXPECT_EQ(graph.forecast()[1].action, Action::resume);
  graph.fail_in = "";
  graph.run();
  EXPECT_EQ(graph.seen_halves, std::vector<std::string>{"middle"});
  EXPECT_EQ(read_json(graph.settings.run_dir / "middle/stage.json").at("sessions"), 2);
}

TEST(Runner, PartialFolderOfAnotherConfigurationIsMovedAside) {
  FakeGraph graph;
  graph.stop_in = "middle";
  EXPECT_THROW(graph.run(), Interrupted);
  graph.stop_in = "";
  graph.middle.value = 2;
  const auto decision = graph.forecast()[1];
  EXPECT_EQ(decision.action, Action::start);
  EXPECT_THAT(decision.notes.at(0), HasSubstr("'middle.value' was 1, is 2"));
  graph.run();
  EXPECT_TRUE(graph.seen_halves.empty());
  EXPECT_TRUE(fs::exists(graph.settings.run_dir / "middle.partial.old-1/half.txt"));
}

TEST(Runner, CompletePartialFolderIsPublishedWithoutTheStage) {
  FakeGraph graph;
  graph.run();
  // As after a kill between stage.json and the rename.
  fs::rename(graph.settings.run_dir / "end", graph.settings.run_dir / "end.partial");
  const json record = read_json(graph.settings.run_dir / "end.partial/stage.json");
  publish_text(graph.settings.run_dir / "end.partial/resume.json",
               json{{"key", record.at("key")},
                    {"situation", json::object()},
                    {"started", ""},
                    {"sessions", 1}}
                   .dump());
  graph.run();
  EXPECT_EQ(graph.runs(), "111");
  EXPECT_EQ(read_json(graph.settings.run_dir / "end/stage.json").at("outputs"),
            record.at("outputs"));
}

TEST(Runner, NewsAreNoOutputs) {
  FakeGraph graph;
  graph.in_stage = [](RunContext& context) {
    write_state(context.progress_file, StageProgress{"middle", 1, 2, 0, "img", 0, 0, {}});
    write_state(context.out_dir / kCheckpointTimesFile, CheckpointTimes{1, 2});
    std::ofstream(context.out_dir / "progress.json.tmp-1-1") << "{";
    EXPECT_EQ(context.progress_file, context.out_dir / "progress.json");
  };
  graph.run();
  const fs::path folder = graph.settings.run_dir / "middle";
  const json outputs = read_json(folder / "stage.json").at("outputs");
  EXPECT_EQ(outputs.size(), 3u) << outputs;  // half.txt, metrics.jsonl, result.txt
  for (const auto& entry : fs::directory_iterator(folder))
    EXPECT_FALSE(is_stage_news(entry.path().filename().string())) << entry.path();
}

TEST(Runner, EachStageHasItsLog) {
  FakeGraph graph;
  log::start(0, 1, false);
  graph.in_stage = [](RunContext& context) {
    log::info("at work in {}", context.out_dir.string());
  };
  graph.run();
  for (const std::string stage : {"source", "middle", "end"}) {
    const auto text = read_text(graph.settings.run_dir / "logs" / (stage + ".rank-0.log"));
    EXPECT_THAT(text, HasSubstr("at work in"));
    for (const std::string other : {"source", "middle", "end"})
      if (other != stage) EXPECT_THAT(text, testing::Not(HasSubstr(other + ".partial"))) << stage;
  }
}

TEST(Runner, OnlyNeedsItsInputs) {
  FakeGraph graph;
  EXPECT_THAT(failure([&] { graph.run({"middle"}); }), HasSubstr("run stage 'source' first"));
  graph.run({"source"});
  graph.run({"middle"});
  EXPECT_EQ(graph.runs(), "110");
  EXPECT_THAT(failure([&] { graph.run({"midle"}); }), HasSubstr("did you mean 'middle'?"));
  EXPECT_EQ(select(graph.stages(), "middle", {}).size(), 2u);
  EXPECT_THAT(failure([&] { select(graph.stages(), "end", {"source"}); }),
              HasSubstr("leave no stage"));
}

TEST(Runner, DamagedRecordIsNamed) {
  FakeGraph graph;
  graph.run();
  publish_text(graph.settings.run_dir / "middle/stage.json", "{");
  EXPECT_THAT(failure([&] { graph.run(); }), HasSubstr("stage.json: is damaged"));
  fs::remove(graph.settings.run_dir / "middle/stage.json");
  EXPECT_THAT(failure([&] { graph.run(); }), HasSubstr("holds no stage.json"));
}

TEST(Runner, TwoRunsInOneDirectoryAreRefused) {
  FakeGraph graph;
  fs::create_directories(graph.settings.run_dir);
  const FileLock other(graph.settings.run_dir / ".lock", FileLock::Mode::exclusive);
  const std::string text = failure([&] { graph.run(); });
  EXPECT_THAT(text, HasSubstr("another run works there (process " + std::to_string(::getpid()) +
                              " on " + host_name()));
  EXPECT_EQ(graph.runs(), "000");
}

TEST(Runner, ChosenStagesMayWorkSideBySideButNotTheSame) {
  FakeGraph graph;
  graph.run({"source"});
  graph.settings.alone = false;
  const FileLock job(graph.settings.run_dir / ".lock", FileLock::Mode::shared);
  graph.run({"middle"});
  EXPECT_EQ(graph.runs(), "110");
  const FileLock stage(graph.settings.run_dir / ".end.lock", FileLock::Mode::exclusive);
  EXPECT_THAT(failure([&] { graph.run({"end"}); }), HasSubstr("another run works there"));
}

TEST(FileLock, IsGivenBackWhenItsProcessDies) {
  testing_support::TempDir dir;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock(dir / "lock", FileLock::Mode::exclusive);
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THROW(FileLock(dir / "lock", FileLock::Mode::exclusive), Error);
  EXPECT_FALSE(FileLock::if_free(dir / "lock", FileLock::Mode::shared));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FileLock::if_free(dir / "lock", FileLock::Mode::exclusive));
}

// An upgrade must not train again what was made before f could be a black box.
TEST(SectionForKey, LeavesOutWhatEarlierVersionsDidNotKnow) {
  Config config;
  const auto key_of = [&config](const std::string& name) {
    for (const auto& stage : stages_of(config))
      if (stage.name == name) return section_for_key(stage);
    return json();
  };
  for (const auto& key : BlackBoxConfig::keys())
    EXPECT_FALSE(key_of("classifier").contains(key)) << key;
  EXPECT_TRUE(key_of("classifier").contains("depth"));
  EXPECT_FALSE(key_of("explain").contains("occlusion"));
  config.explain.occlusion = 12;
  EXPECT_EQ(key_of("explain").at("occlusion"), 12);
  config.classifier.black_box.kind = "command";
  EXPECT_EQ(key_of("classifier").at("kind"), "command");
  EXPECT_TRUE(key_of("classifier").contains("command"));
}

}  // namespace
}  // namespace stylescope
