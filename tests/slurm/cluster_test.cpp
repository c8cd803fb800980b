#include "slurm/cluster.hpp"

#include "io/base/error.hpp"

#include <csignal>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

// Slurm 22.05's own output of a small cluster: sleepers, an array with one cancelled task, a
// failed job and one that waits for it, a requeued one.
constexpr const char* kQueue =
    "7|N/A|CANCELLED|JobHeldUser||(null)|0|0:00|UNLIMITED|2026-11-25T07:43:11|\n"
    "3|N/A|FAILED|NonZeroExitCode|n1|(null)|0|0:00|UNLIMITED|2026-11-25T07:43:06|\n"
    "2|N/A|PENDING|Dependency||afterok:1(unfulfilled)|0|0:00|UNLIMITED|N/A|\n"
    "4|N/A|PENDING|DependencyNeverSatisfied||afterok:3(failed)|0|0:00|UNLIMITED|N/A|\n"
    "5|3-9%3|PENDING|JobArrayTaskLimit||(null)|0|0:00|UNLIMITED|N/A|\n"
    "6|N/A|PENDING|BeginTime||(null)|1|0:00|UNLIMITED|2026-11-25T07:45:11|\n"
    "10|N/A|PENDING|Dependency||afterok:1(unfulfilled)?afterok:2(unfulfilled)|0|0:00|UNLIMITED|"
    "N/A|\n"
    "1|N/A|RUNNING|None|n1|(null)|0|1:13|UNLIMITED|2026-11-25T07:43:06|\n"
    "5|0|RUNNING|None|n1|(null)|0|1:10|364-23:58:50|2026-11-25T07:43:09|\n"
    "5|1|CANCELLED|None|n2|(null)|0|1:10|364-23:58:50|2026-11-25T07:43:09|\n"
    "9|N/A|RUNNING|None|n[3-4]|(null)|0|1:01:10|1-02:02:50|2026-11-25T07:43:09|\n";
constexpr const char* kUnknown = "slurm_load_jobs error: Invalid job id specified\n";

// Answers every call the same way, and remembers what was asked.
struct Stand {
  Captured answer;
  std::vector<std::vector<std::string>> calls;
  Slurm slurm() {
    return Slurm([this](const std::vector<std::string>& words) {
      calls.push_back(words);
      return answer;
    });
  }
};

TEST(Capture, GivesOutputErrorsAndCode) {
  const auto said = capture({"sh", "-c", "echo out; echo err >&2; exit 7"}, 10s);
  EXPECT_EQ(said.code, 7);
  EXPECT_EQ(said.out, "out\n");
  EXPECT_EQ(said.err, "err\n");
  EXPECT_EQ(capture({"sh", "-c", "kill -9 $$"}, 10s).code, 128 + SIGKILL);
}

TEST(Capture, LargeOutputOnBothSidesDoesNotBlock) {
  const auto said = capture(
      {"sh", "-c", "head -c 3000000 /dev/zero >&2; head -c 2000000 /dev/zero; echo end"}, 30s);
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.err.size(), 3000000u);
  EXPECT_EQ(said.out.size(), 2000004u);
}

TEST(Capture, KillsWhatTakesTooLong) {
  const auto begin = std::chrono::steady_clock::now();
  // The shell's child holds the pipe too: both must go.
  const auto said = capture({"sh", "-c", "echo begun; sleep 60; echo end"}, 300ms);
  EXPECT_EQ(said.code, -2);
  EXPECT_EQ(said.out, "begun\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  // Closing its output is not yet an end.
  EXPECT_EQ(capture({"sh", "-c", "exec >&- 2>&-; sleep 60"}, 300ms).code, -2);
}

TEST(Capture, SaysWhatIsNotThere) {
  const auto said = capture({"no-such-command-here"}, 10s);
  EXPECT_EQ(said.code, -1);
  EXPECT_THAT(said.err, HasSubstr("no-such-command-here"));
}

TEST(Capture, EnvironmentIsPlain) {
  ::setenv("SQUEUE_FORMAT", "%i", 1);
  ::setenv("SLURM_TIME_FORMAT", "relative", 1);
  const auto said =
      capture({"sh", "-c",
               "echo \"$LC_ALL/$SLURM_BITSTR_LEN/${SQUEUE_FORMAT-}/${SLURM_TIME_FORMAT-}\"; cat"},
              10s);
  ::unsetenv("SQUEUE_FORMAT");
  ::unsetenv("SLURM_TIME_FORMAT");
  EXPECT_EQ(said.out, "C/0//\n");
}

TEST(SlurmQueue, ReadsEveryKindOfEntry) {
  Stand stand{{0, kQueue, ""}, {}};
  const auto jobs = stand.slurm().queue({1, 2, 3, 4, 5, 6, 7, 9, 10});
  ASSERT_EQ(jobs.size(), 11u);
  EXPECT_EQ(jobs[0].state, "CANCELLED");
  EXPECT_TRUE(is_over(jobs[0].state));
  EXPECT_EQ(jobs[1].nodes, "n1");
  EXPECT_EQ(jobs[2].dependency, "afterok:1(unfulfilled)");
  EXPECT_EQ(jobs[2].start, "");
  EXPECT_EQ(jobs[3].reason, "DependencyNeverSatisfied");
  EXPECT_EQ(jobs[4].task, -1);
  EXPECT_EQ(jobs[4].tasks, 7);
  EXPECT_EQ(jobs[5].restarts, 1);
  EXPECT_EQ(jobs[5].start, "2026-11-25T07:45:11");
  EXPECT_EQ(jobs[6].dependency, "afterok:1(unfulfilled)?afterok:2(unfulfilled)");
  EXPECT_EQ(jobs[7].id, 1);
  EXPECT_EQ(jobs[7].task, -1);
  EXPECT_EQ(jobs[7].elapsed, 73);
  EXPECT_EQ(jobs[7].left, -1);
  EXPECT_EQ(jobs[8].id, 5);
  EXPECT_EQ(jobs[8].task, 0);
  EXPECT_FALSE(is_over(jobs[8].state));
  EXPECT_EQ(jobs[10].nodes, "n[3-4]");
  EXPECT_EQ(jobs[10].elapsed, 3670);
  EXPECT_EQ(jobs[10].left, 86400 + 2 * 3600 + 2 * 60 + 50);
}

TEST(SlurmQueue, OneCallForAllAndNoneForNothing) {
  Stand stand{{0, "", ""}, {}};
  EXPECT_THAT(stand.slurm().queue({}), IsEmpty());
  EXPECT_THAT(stand.calls, IsEmpty());
  EXPECT_THAT(stand.slurm().queue({3, 12}), IsEmpty());
  ASSERT_EQ(stand.calls.size(), 1u);
  EXPECT_EQ(stand.calls[0][0], "squeue");
  EXPECT_THAT(stand.calls[0], testing::Contains("--jobs=3,12"));
}

TEST(SlurmQueue, UnknownIdsDoNotHideTheOthers) {
  // As Slurm does it with one id: it fails. Here for any list that holds an unknown one.
  int calls = 0;
  const Slurm slurm([&](const std::vector<std::string>& words) -> Captured {
    ++calls;
    for (const auto& word : words) {
      if (!word.starts_with("--jobs=")) continue;
      if ((word + ",").find("99") != std::string::npos) return {1, "", kUnknown};
      return {0, kQueue, ""};
    }
    return {2, "", "no ids"};
  });
  const auto jobs = slurm.queue({1, 99, 2, 3, 993});
  std::vector<int64_t> ids;
  for (const auto& job : jobs) ids.push_back(job.id);
  EXPECT_THAT(ids, ElementsAre(1, 2, 3)) << calls;
  EXPECT_THAT(Slurm([](const auto&) {
                return Captured{1, "", kUnknown};
              }).queue({9999}),
              IsEmpty());
}

TEST(SlurmQueue, OtherFailuresAreNotTakenForAnEmptyQueue) {
  const auto message = [](const Captured& answer) {
    try {
      Slurm([&](const auto&) { return answer; }).queue({1, 2});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(
      message(
          {1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"}),
      HasSubstr("Unable to contact"));
  EXPECT_THAT(message({-1, "", ""}), HasSubstr("squeue: is not in PATH"));
  EXPECT_THAT(message({-2, "", ""}), HasSubstr("not answered"));
}

TEST(SlurmAccounts, ReadsWhatIsKept) {
  // Columns as sacct --parsable2 documents them.
  Stand stand{{0,
               "12|COMPLETED|0:0|n[1-2]\n13|CANCELLED by 1000|0:0|None assigned\n"
               "14_3|FAILED|3:0|n4\n14_[5-9%4]|PENDING|0:0|None assigned\n15|TIMEOUT|0:15|n1\n",
               ""},
              {}};
  const auto jobs = stand.slurm().accounts({12, 13, 14, 15});
  ASSERT_TRUE(jobs);
  ASSERT_EQ(jobs->size(), 5u);
  EXPECT_EQ((*jobs)[0].nodes, "n[1-2]");
  EXPECT_EQ((*jobs)[1].state, "CANCELLED");
  EXPECT_EQ((*jobs)[1].nodes, "");
  EXPECT_EQ((*jobs)[2].id, 14);
  EXPECT_EQ((*jobs)[2].task, 3);
  EXPECT_EQ((*jobs)[2].exit_code, 3);
  EXPECT_EQ((*jobs)[3].task, -1);
  EXPECT_EQ((*jobs)[4].exit_code, 128 + 15);
}

TEST(SlurmAccounts, NothingWithoutAccounting) {
  Stand disabled{{1, "", "Slurm accounting storage is disabled\n"}, {}};
  EXPECT_FALSE(disabled.slurm().accounts({1}));
  Stand missing{{-1, "", ""}, {}};
  EXPECT_FALSE(missing.slurm().accounts({1}));
}

TEST(SlurmSubmit, GivesTheId) {
  Stand stand{{0, "123\n", ""}, {}};
  EXPECT_EQ(stand.slurm().submit({"--dependency=afterok:3"}, "gan.sbatch"), 123);
  EXPECT_THAT(stand.calls[0],
              ElementsAre("sbatch", "--parsable", "--dependency=afterok:3", "gan.sbatch"));
  stand.answer.out = "Welcome to the cluster\n124;alpha\n";
  EXPECT_EQ(stand.slurm().submit({}, "gan.sbatch"), 124);
}

TEST(SlurmSubmit, TellsWhatSbatchSaid) {
  Stand stand{{1, "",
               "sbatch: error: invalid partition specified: nopart\n"
               "sbatch: error: Batch job submission failed: Invalid partition name specified\n"},
              {}};
  try {
    stand.slurm().submit({}, "gan.sbatch");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("gan.sbatch: was not submitted"));
    EXPECT_THAT(error.what(), HasSubstr("nopart"));
  }
  stand.answer = {0, "Submitted batch job 12\n", ""};
  EXPECT_THROW(stand.slurm().submit({}, "gan.sbatch"), Error);
}

TEST(SlurmCancel, GoneIdsAreNoError) {
  Stand stand{{1, "", "scancel: error: Kill job error on job id 9: Invalid job id specified\n"},
              {}};
  stand.slurm().cancel({9, 10});
  EXPECT_THAT(stand.calls[0], ElementsAre("scancel", "9", "10"));
  stand.answer = {210, "",
                  "scancel: error: Kill job error on job id 1: Access/permission denied\n"};
  EXPECT_THROW(stand.slurm().cancel({1}), Error);
  stand.calls.clear();
  stand.slurm().cancel({});
  EXPECT_THAT(stand.calls, IsEmpty());
}

TEST(SlurmNodes, FindsTheUnfit) {
  Stand stand{{0,
               "n1|mixed\nn1|mixed\nn3|down\nn4|drained\nn5|idle*\nn6|down*\nn7|draining\nn8|"
               "idle\nn9|allocated\nn10|idle~\n",
               ""},
              {}};
  const auto unfit = stand.slurm().unfit_nodes({"n1", "n3"});
  EXPECT_EQ(unfit, (std::map<std::string, std::string>{{"n3", "down"},
                                                       {"n4", "drained"},
                                                       {"n5", "idle*"},
                                                       {"n6", "down*"},
                                                       {"n7", "draining"}}));
  EXPECT_THAT(stand.calls[0], testing::Contains("--nodes=n1,n3"));
}

TEST(SlurmConfig, MaxArraySize) {
  Stand stand{{0, "MaxArraySize            = 4001\nMaxDBDMsgs = 20008\n", ""}, {}};
  EXPECT_EQ(stand.slurm().max_array_size(), 4001);
  stand.answer = {-1, "", ""};
  EXPECT_EQ(stand.slurm().max_array_size(), 1001);
}

TEST(SlurmReach, SaysWhyNot) {
  Stand stand{{0, "main*\n", ""}, {}};
  EXPECT_EQ(stand.slurm().unreachable(), "");
  stand.answer = {1, "",
                  "slurm_load_partitions: Unable to contact slurm controller (connect failure)\n"};
  EXPECT_THAT(stand.slurm().unreachable(), HasSubstr("connect failure"));
  stand.answer = {-1, "", ""};
  EXPECT_THAT(stand.slurm().unreachable(), HasSubstr("not in PATH"));
}

TEST(ExpandNodes, ReadsWhatSlurmWrites) {
  EXPECT_THAT(expand_nodes("n[1-3,07-09],gpu04,a[1-2]b"),
              ElementsAre("n1", "n2", "n3", "n07", "n08", "n09", "gpu04", "a1b", "a2b"));
  EXPECT_THAT(expand_nodes("n[099-101]"), ElementsAre("n099", "n100", "n101"));
  EXPECT_THAT(expand_nodes("r[1-2]n[3,5]"), ElementsAre("r1n3", "r1n5", "r2n3", "r2n5"));
  EXPECT_THAT(expand_nodes("login-1"), ElementsAre("login-1"));
  EXPECT_THAT(expand_nodes(""), IsEmpty());
}

TEST(ExpandNodes, RefusesTheRest) {
  for (const char* list : {"n[1-3", "n1]", "n[]", "n[3-1]", "n[a]", ",", "n1,", "n[1-999999999]",
                           "n[1-1000]m[1-100000]", "(null)", "n1 n2"})
    EXPECT_THROW(expand_nodes(list), Error) << list;
}

}  // namespace
}  // namespace stylescope
