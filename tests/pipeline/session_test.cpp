// What a run tells of its sessions, and how far its stages are.
#include "io/stage_state.hpp"
#include "pipeline/session_outcome.hpp"
#include "pipeline/work_mark.hpp"
#include "tests/pipeline/fake_graph.hpp"

#include <csignal>
#include <limits>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing_support::FakeGraph;
using testing_support::TempDir;

std::string state_of(const FakeGraph& graph, const std::string& session) {
  const auto found = read_state<StageOutcome>(outcome_file(graph.settings.run_dir, session));
  return found ? found->state : "none";
}

std::string cause_of(const FakeGraph& graph, const std::string& session) {
  return read_state<StageOutcome>(outcome_file(graph.settings.run_dir, session)).value().cause;
}

TEST(Outcome, RunsAndIsDone) {
  FakeGraph graph;
  std::string seen;
  graph.in_stage = [&](RunContext& context) {
    const auto name = context.out_dir.stem().string();
    const auto outcome = read_state<StageOutcome>(outcome_file(context.run_dir, name));
    ASSERT_TRUE(outcome) << name;
    EXPECT_EQ(outcome->pid, ::getpid());
    EXPECT_NE(outcome->host, "");
    seen += name + " " + outcome->state + ", ";
  };
  graph.run();
  EXPECT_EQ(seen, "source running, middle running, end running, ");
  for (const char* stage : {"source", "middle", "end"}) EXPECT_EQ(state_of(graph, stage), "done");
  fs::remove(outcome_file(graph.settings.run_dir, "middle"));
  graph.run();
  EXPECT_EQ(state_of(graph, "middle"), "done") << "up to date";
}

TEST(Outcome, FailuresByTheirKind) {
  const std::vector<std::pair<std::function<void()>, std::string>> kinds{
      {[] { throw Error("no slide"); }, "failed"},
      {[] { throw UsageError("no key"); }, "failed"},
      {[] { throw TransientError("the network is gone"); }, "broken"},
      {[] { TORCH_CHECK(false, "the device is gone"); }, "broken"},
      {[] { throw std::bad_alloc(); }, "broken"},
      {[] { throw std::logic_error("a bug"); }, "broken"},
      {[] { throw Interrupted("asked to stop"); }, "interrupted"}};
  for (const auto& [fail, state] : kinds) {
    FakeGraph graph;
    graph.in_stage = [&fail = fail](RunContext& context) {
      if (context.out_dir.stem() == "middle") fail();
    };
    EXPECT_ANY_THROW(graph.run());
    EXPECT_EQ(state_of(graph, "source"), "done");
    EXPECT_EQ(state_of(graph, "middle"), state);
    EXPECT_NE(cause_of(graph, "middle"), "");
    EXPECT_EQ(state_of(graph, "end"), "none");
    // Another session: what was is forgotten.
    graph.in_stage = {};
    graph.run();
    EXPECT_EQ(state_of(graph, "middle"), "done");
  }
}

TEST(Outcome, BeforeTheFirstStageItIsTheFirstStages) {
  FakeGraph graph;
  graph.run({"source"});
  graph.settings.alone = false;
  {
    const FileLock other(graph.settings.run_dir / ".lock", FileLock::Mode::exclusive);
    EXPECT_THROW(graph.run({"middle"}), TransientError);
    EXPECT_EQ(state_of(graph, "middle"), "broken");
    EXPECT_THAT(cause_of(graph, "middle"), HasSubstr("another run works there"));
  }
  EXPECT_THROW(graph.run({"end"}), UsageError);
  EXPECT_EQ(state_of(graph, "end"), "failed");
}

TEST(Outcome, OneThatIsRefusedDoesNotSpeakForTheOneAtWork) {
  FakeGraph graph;
  graph.run({"source"});
  graph.settings.alone = false;
  write_state(outcome_file(graph.settings.run_dir, "middle"), StageOutcome{"running", "", "n9", 1});
  const FileLock other(graph.settings.run_dir / ".middle.lock", FileLock::Mode::exclusive);
  EXPECT_THROW(graph.run({"middle"}), TransientError);
  EXPECT_EQ(state_of(graph, "middle"), "running");
}

TEST(Outcome, WhoFailsBeforeTheWorkLeavesWhatOthersSaid) {
  TempDir dir;
  const auto file = outcome_file(dir.path(), "gan");
  const auto fail_at_start = [&] {
    SessionOutcome outcome(dir.path(), true);
    outcome.of("gan");
    try {
      throw Error("no GPU");
    } catch (...) {
      outcome.failed();
    }
    return read_state<StageOutcome>(file).value().state;
  };
  write_state(file, StageOutcome{"done", "", "n1", 1});
  EXPECT_EQ(fail_at_start(), "done");
  write_state(file, StageOutcome{"running", "", "n1", 1});
  std::ofstream(dir / ".gan.lock") << "process 1 on another-host since 2026-11-24T03:25:57Z";
  EXPECT_EQ(fail_at_start(), "running") << "it may still be at work there";
  fs::remove(dir / ".gan.lock");
  EXPECT_EQ(fail_at_start(), "failed") << "it was lost without a word";
}

TEST(Outcome, BetweenTwoStagesTheNextIsInterrupted) {
  FakeGraph graph;
  graph.in_stage = [&](RunContext& context) {
    if (context.out_dir.stem() == "source") ::raise(SIGTERM);
  };
  EXPECT_THROW(graph.run(), Interrupted);
  EXPECT_EQ(state_of(graph, "source"), "done");
  EXPECT_EQ(state_of(graph, "middle"), "interrupted");
  graph.in_stage = [&](RunContext& context) {
    if (context.out_dir.stem() == "middle") ::raise(SIGTERM);
  };
  EXPECT_THROW(graph.run({"middle"}), Interrupted);
  EXPECT_EQ(state_of(graph, "middle"), "done") << "it was published";
}

TEST(Outcome, TheGraverReasonStands) {
  TempDir dir;
  const auto file = outcome_file(dir.path(), "gan");
  const auto fail = [&](bool root, const std::function<void()>& with) {
    SessionOutcome outcome(dir.path(), root);
    outcome.of("gan");
    outcome.running();
    return [outcome, with] {
      try {
        with();
      } catch (...) {
        outcome.failed();
      }
    };
  };
  const auto state = [&] { return read_state<StageOutcome>(file).value().state; };
  const auto a = fail(true, [] { throw Interrupted("a"); });
  const auto b = fail(false, [] { throw Error("b"); });
  const auto c = fail(false, [] { throw TransientError("c"); });
  EXPECT_EQ(state(), "running");
  c();
  EXPECT_EQ(state(), "broken");
  b();
  EXPECT_EQ(state(), "failed");
  a();
  c();
  EXPECT_EQ(state(), "failed");
  EXPECT_EQ(read_state<StageOutcome>(file)->cause, "b");
}

TEST(Outcome, LateStopsAreInterruptions) {
  TempDir dir;
  write_state(outcome_file(dir.path(), "gan"), StageOutcome{"running", "", "n1", 1});
  write_state(outcome_file(dir.path(), "ingest"), StageOutcome{"done", "", "n1", 1});
  interrupt_sessions(dir.path(), {"ingest", "gan", "encoder"}, "too late");
  EXPECT_EQ(read_state<StageOutcome>(outcome_file(dir.path(), "gan"))->state, "interrupted");
  EXPECT_EQ(read_state<StageOutcome>(outcome_file(dir.path(), "gan"))->cause, "too late");
  EXPECT_EQ(read_state<StageOutcome>(outcome_file(dir.path(), "ingest"))->state, "done");
  EXPECT_FALSE(read_state<StageOutcome>(outcome_file(dir.path(), "encoder")));
}

// `source` has run; `middle` can be shared out.
class Tasks : public testing::Test {
 protected:
  void SetUp() override {
    graph_.run({"source"});
    graph_.settings.alone = false;
    graph_.in_stage = [this](RunContext& context) {
      seen_ += std::to_string(context.task) + "/" + std::to_string(context.tasks) + " ";
      progress_ = context.progress_file.filename().string();
    };
  }
  void run(int64_t task, int64_t tasks) {
    graph_.settings.task = task;
    graph_.settings.tasks = tasks;
    graph_.run({"middle"});
  }
  fs::path folder(const std::string& name) const { return graph_.settings.run_dir / name; }
  std::string failure(int64_t task, int64_t tasks) {
    try {
      run(task, tasks);
    } catch (const Error& error) {
      return error.what();
    }
    return "no failure";
  }

  FakeGraph graph_;
  std::string seen_, progress_;
};

TEST_F(Tasks, WorkInOneFolderAndPublishNothing) {
  run(0, 2);
  EXPECT_EQ(progress_, "progress.task-0.json");
  run(1, 2);
  EXPECT_EQ(seen_, "0/2 1/2 ");
  EXPECT_TRUE(fs::exists(folder("middle.partial")));
  EXPECT_FALSE(fs::exists(folder("middle.partial.old-1")));
  EXPECT_FALSE(fs::exists(folder("middle")));
  EXPECT_EQ(graph_.seen_halves, std::vector<std::string>{"middle"})
      << "the second finds the first's";
  EXPECT_EQ(state_of(graph_, "middle.task-0"), "done");
  EXPECT_EQ(state_of(graph_, "middle.task-1"), "done");
  EXPECT_EQ(state_of(graph_, "middle"), "none");
  EXPECT_TRUE(fs::exists(folder("logs") / "middle.task-1.rank-0.log"));

  run(-1, 0);
  EXPECT_TRUE(fs::exists(folder("middle/stage.json")));
  EXPECT_EQ(state_of(graph_, "middle"), "done");
  run(0, 2);
  EXPECT_EQ(seen_, "0/2 1/2 -1/0 ") << "up to date: nothing to do";
  EXPECT_FALSE(fs::exists(folder("middle.partial")));
}

TEST_F(Tasks, AreRefusedWhileARunWithoutATaskWorks) {
  const FileLock whole(folder(".middle.lock"), FileLock::Mode::exclusive);
  EXPECT_THAT(failure(0, 2), HasSubstr("another run works there"));
  EXPECT_FALSE(fs::exists(folder("middle.partial")));
}

TEST_F(Tasks, HoldOffARunWithoutATask) {
  run(0, 2);
  const FileLock other(folder(".middle.lock"), FileLock::Mode::shared);
  EXPECT_THAT(failure(-1, 0), HasSubstr("another run works there"));
  run(1, 2);
  EXPECT_EQ(seen_, "0/2 1/2 ");
}

TEST_F(Tasks, OneNumberIsOneTasks) {
  const FileLock other(folder(".middle.task-1.lock"), FileLock::Mode::exclusive);
  EXPECT_THAT(failure(1, 2), HasSubstr("another run works there"));
  run(0, 2);
}

TEST_F(Tasks, AnotherConfigurationDoesNotMoveTheFolderFromUnderThem) {
  run(0, 2);
  graph_.middle.value = 7;
  {
    const FileLock other(folder(".middle.lock"), FileLock::Mode::shared);
    const auto text = failure(1, 2);
    EXPECT_THAT(text, HasSubstr("other tasks work there"));
    EXPECT_THAT(text, HasSubstr("'middle.value' was 1, is 7"));
    EXPECT_FALSE(fs::exists(folder("middle.partial.old-1")));
  }
  run(1, 2);
  EXPECT_TRUE(fs::exists(folder("middle.partial.old-1")));
}

TEST_F(Tasks, SharesOfAnotherNumberOfTasksAreRefusedBesideThem) {
  run(0, 2);
  {
    const FileLock other(folder(".middle.lock"), FileLock::Mode::shared);
    EXPECT_THAT(failure(1, 3), HasSubstr("each on one of 2 shares (this one: of 3)"));
  }
  run(1, 3);
  EXPECT_EQ(seen_, "0/2 1/3 ");
}

TEST(WorkMarks, CheckpointsAndFinishedPieces) {
  TempDir dir;
  const RunDirectory directory(dir.path());
  EXPECT_EQ(work_mark(directory, "tile"), WorkMark{});
  const auto make = [&](const std::string& name) {
    const fs::path file = dir / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "x";
  };
  for (const char* none :
       {"resume.json", "metrics.jsonl", "stage.log", "progress.json", "progress.task-3.json",
        "checkpoint_times.json", "images.h5.tmp12-7", "shards/a.h5.partial", "queue/0",
        "queue.task-2/5", "checkpoints/checkpoint-3.safetensors.tmp1-2"})
    make("tile.partial/" + std::string(none));
  EXPECT_EQ(work_mark(directory, "tile"), WorkMark{});
  for (const char* piece : {"shards/a.h5", "slides/a.json", "snapshot.png"})
    make("tile.partial/" + std::string(piece));
  EXPECT_EQ(work_mark(directory, "tile"), (WorkMark{-1, 3}));
  for (const char* step : {"8", "12"})
    make("tile.partial/checkpoints/checkpoint-" + std::string(step) + ".safetensors");
  EXPECT_EQ(work_mark(directory, "tile"), (WorkMark{12, 3}));
  // A task's own, whatever the others have made.
  EXPECT_EQ(work_mark(directory, "tile", 3), WorkMark{});
  write_state(dir / "tile.partial" / progress_file_name(3),
              StageProgress{"tile", 5, 8, 1, "slides", 0, 0, {}});
  EXPECT_EQ(work_mark(directory, "tile", 3), (WorkMark{-1, 5}));
  // An earlier one is published: it is being made again.
  make("tile/stage.json");
  EXPECT_EQ(work_mark(directory, "tile"), (WorkMark{12, 3}));
  fs::remove_all(dir / "tile.partial");
  EXPECT_EQ(work_mark(directory, "tile"), (WorkMark{std::numeric_limits<int64_t>::max(), 0}));
}

}  // namespace
}  // namespace stylescope
