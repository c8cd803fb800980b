// A run on a real Slurm cluster goes on by itself whatever cuts off its training, ends in the bits
// of a run that nothing disturbed, and `status` tells the truth all the way.
#include "io/atomic_file.hpp"
#include "io/sha256.hpp"
#include "slurm/cluster.hpp"
#include "tests/slurm/end_to_end/scene.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope::slurm_tests {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::vector<std::string> kStages{"ingest",     "classifier", "gan",
                                       "synthesize", "encoder",    "direction",
                                       "explain",    "evaluate",   "report"};

RunPlan plan(const Words& settings = {}) {
  RunPlan result;
  result.settings = common_settings();
  result.settings.insert(result.settings.end(), settings.begin(), settings.end());
  // One case kills n3 or n4.
  result.keep_off = {"n3", "n4"};
  return result;
}

template <class Change>
RunPlan changed(RunPlan one, Change change) {
  change(one);
  return one;
}

RunPlan shares_plan() {
  RunPlan result;
  result.configuration = STYLESCOPE_HISTOLOGY_SMOKE;
  result.nodes = 1;
  result.keep_off = {"n3", "n4"};
  result.settings = {"run_dir=run", "threads=1", "device=cpu", "slurm.stages.tile.array=8"};
  return result;
}

// ---- what disturbed cases have in common ----

// gan and a stage behind it, the rest copied; returns when gan has written a checkpoint.
void begin_training(Scene& scene, ClusterRun& run) {
  run.copy_stages(scene.undisturbed(), {"ingest", "classifier"});
  const auto said = run.submit({"--only", "gan,synthesize"});
  for (const auto& [stage, words] : {std::pair{"gan", "job "}, {"synthesize", "job "}})
    run.expect(said.contains(stage) && said.at(stage).starts_with(words), "submit of a stage");
  run.watch_until("gan has a checkpoint", 180s,
                  [&](const Moment&) { return run.checkpoint("gan") >= 0; });
}

Moment watch_restarts(ClusterRun& run, int64_t restarts, std::chrono::seconds deadline) {
  return run.watch_until("gan was restarted " + std::to_string(restarts) + " times", deadline,
                         [&](const Moment& moment) {
                           const auto rows = run.rows(moment.rows, "gan");
                           return !rows.empty() && rows[0].restarts >= restarts;
                         });
}

// Until the session in progress has written a checkpoint of its own.
void watch_for_progress(ClusterRun& run) {
  const auto before = run.checkpoint("gan");
  run.watch_until("gan goes on", 180s,
                  [&](const Moment&) { return run.checkpoint("gan") > before; });
}

void end_training(Scene& scene, ClusterRun& run, int64_t sessions, bool or_more = false) {
  const auto end = run.watch_to_the_end(300s);
  run.expect(end.state("gan") == "done" && end.state("synthesize") == "done",
             "all ended, and status says " + end.status.dump());
  const auto had = run.sessions("gan");
  run.expect(had == sessions || (or_more && had > sessions),
             "gan had " + std::to_string(run.sessions("gan")) + " sessions, not " +
                 std::to_string(sessions));
  expect_same_generator(scene, run);
  const auto log = read_text(run.run() / "logs" / "gan.rank-0.log");
  run.expect(log.find("goes on from the checkpoint of step ") != std::string::npos,
             "gan began anew: " + log);
}

// SHA-256 by name of the images' files.
std::map<std::string, std::string> images_of(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".h5")
      found[fs::relative(entry.path(), folder).string()] = sha256_of_file(entry.path());
  return found;
}

// ---- the cases ----

void from_images_to_the_report(Scene& scene, ClusterRun& run) {
  const auto said = run.submit();
  for (const auto& stage : kStages)
    run.expect(said.contains(stage) && said.at(stage).starts_with("job "), stage + " has no job");
  run.watch_until("gan is at work", 180s,
                  [](const Moment& moment) { return moment.state("gan") == "running"; });
  for (const auto& [stage, words] : run.submit())
    run.expect(words == "up to date" || words.starts_with("already queued as job "),
               "submitted twice: " + stage + ": " + words);
  const auto end = run.watch_to_the_end(300s);
  for (const auto& stage : kStages)
    run.expect(end.state(stage) == "done", stage + " is " + end.state(stage));
  run.expect(end.code == 0, "status does not exit with 0");
  run.expect(run.times_asked() > 10, "status was hardly asked");
  run.expect(fs::exists(run.run() / "report" / "index.html"), "there is no report");
  expect_same_generator(scene, run);
  for (const auto& [stage, words] : run.submit())
    run.expect(words == "up to date", "submitted again: " + stage + ": " + words);
}

void time_limit(Scene& scene, ClusterRun& run) {
  {
    const Slowly slowly(scene.cluster(), run, "gan");
    begin_training(scene, run);
    watch_restarts(run, 3, 300s);
    watch_for_progress(run);
    scene.cluster().ask(
        {"scontrol", "update", "JobId=" + std::to_string(run.jobs("gan").job), "TimeLimit=30"});
  }
  // A limit that strikes while it is being raised makes one more.
  end_training(scene, run, 4, true);
}

void cancelled_step(Scene& scene, ClusterRun& run) {
  {
    const Slowly slowly(scene.cluster(), run, "gan");
    begin_training(scene, run);
    const auto step = std::to_string(run.jobs("gan").job) + ".0";
    scene.cluster().ask({"scancel", step});
    watch_restarts(run, 1, 150s);
    watch_for_progress(run);
    scene.cluster().ask({"scancel", "--signal=KILL", step});
    watch_restarts(run, 2, 150s);
  }
  end_training(scene, run, 3);
}

void lost_node(Scene& scene, ClusterRun& run) {
  std::string victim;
  {
    const Slowly slowly(scene.cluster(), run, "gan");
    begin_training(scene, run);
    for (const auto& node : expand_nodes(run.row("gan").nodes))
      if (node != "n1" && node != "n2") victim = node;
    scene.cluster().kill_node(victim);
    watch_restarts(run, 1, 180s);
    watch_for_progress(run);
    for (const auto& node : expand_nodes(run.row("gan").nodes))
      run.expect(node != victim, "gan goes on on the node that was lost");
  }
  end_training(scene, run, 2);
  scene.cluster().start_node(victim);
}

void preempted(Scene& scene, ClusterRun& run) {
  {
    const Slowly slowly(scene.cluster(), run, "gan");
    begin_training(scene, run);
    scene.cluster().ask({"sbatch", "--partition=urgent", "--nodes=4", "--exclusive",
                         "--output=/dev/null", "--wrap", "sleep 3"});
    watch_restarts(run, 1, 150s);
  }
  end_training(scene, run, 2);
}

void follow_up(Scene& scene, ClusterRun& run) {
  const auto restarting = [&](const Moment& moment) {
    const auto rows = run.rows(moment.rows, "gan");
    return std::ranges::any_of(rows, [&](const auto& row) {
      return row.job == run.jobs("gan").follow_ups.at(0) && row.state == "RUNNING";
    });
  };
  {
    const Slowly slowly(scene.cluster(), run, "gan");
    begin_training(scene, run);
    run.expect(run.jobs("gan").follow_ups.size() == 3, "follow-ups are missing");
    scene.cluster().ask({"scancel", std::to_string(run.jobs("gan").job) + ".0"});
    run.watch_until("the follow-up is at work", 150s, restarting);
  }
  end_training(scene, run, 2);
  const auto jobs = run.jobs("gan");
  std::map<int64_t, std::string> states;
  for (const auto& row : run.rows(scene.cluster().queue(), "gan")) states[row.job] = row.state;
  run.expect(states[jobs.job] == "FAILED", "the job that was cut off is " + states[jobs.job]);
  run.expect(states[jobs.follow_ups[0]] == "COMPLETED",
             "the follow-up is " + states[jobs.follow_ups[0]]);
  for (const auto left : {jobs.follow_ups[1], jobs.follow_ups[2]})
    run.expect(states[left] == "CANCELLED" || states[left].empty(),
               "a follow-up that is not needed is " + states[left]);
}

// Arrays of five and three tasks make the slides' shares, and the stage's own job the whole.
void shares_of_slides(Scene& scene, ClusterRun& run) {
  const auto said = run.submit({"--only", "tile"});
  const auto jobs = run.jobs("tile");
  run.expect(jobs.array_tasks == std::vector<int64_t>{5, 3}, "submit said: " + said.at("tile"));
  const auto end = run.watch_to_the_end(240s);
  run.expect(end.state("tile") == "done" && end.code == 0, "status says " + end.status.dump());
  for (int share = 0; share < 8; ++share)
    run.expect(run.sessions("tile." + std::to_string(share)) == 1,
               "share " + std::to_string(share) + " was not made once");
  const auto plain =
      scene.cluster().run({STYLESCOPE_BINARY, "run", STYLESCOPE_HISTOLOGY_SMOKE, "--only", "tile",
                           "--set", "run_dir=plain", "--set", "threads=1", "--set", "device=cpu"},
                          {}, run.folder());
  run.expect(plain.code == 0, "the plain run failed: " + plain.err);
  const auto expected = images_of(run.folder() / "plain" / "tile");
  run.expect(expected.size() > 8, "the plain run made no files of eight slides");
  run.expect(images_of(run.run() / "tile") == expected, "the images are not the plain run's");
}

void resubmission(Scene& scene, ClusterRun& run) {
  const Words stages{"--only", "ingest,classifier,gan,synthesize"};
  const auto expect_submitted = [&] {
    const auto said = run.submit(stages);
    for (const char* stage : {"ingest", "classifier"})
      run.expect(said.at(stage) == "up to date", stage + (": " + said.at(stage)));
    for (const char* stage : {"gan", "synthesize"})
      run.expect(said.at(stage).starts_with("job "), stage + (": " + said.at(stage)));
  };
  run.copy_stages(scene.undisturbed(), {"ingest", "classifier"});
  {
    const Slowly slowly(scene.cluster(), run, "gan");
    expect_submitted();
    watch_for_progress(run);
    const auto cancelled = run.stylescope({"cancel", "run"});
    run.expect(cancelled.code == 0, "cancel: " + cancelled.err);
    const auto end = run.watch_to_the_end(150s);
    run.expect(end.state("gan") == "stopped" && end.code == 1,
               "gan was cancelled, and status says " + end.status.dump());
  }
  expect_submitted();
  end_training(scene, run, 1);  // since the submission
  for (const auto& [stage, words] : run.submit(stages))
    run.expect(words == "up to date", "submitted again: " + stage + ": " + words);
}

void failure_for_good(Scene&, ClusterRun& run) {
  run.submit();
  const auto end = run.watch_to_the_end(150s);
  run.expect(end.code == 1, "status exits with 0");
  run.expect(end.state("ingest") == "failed", "ingest is " + end.state("ingest"));
  for (const auto& stage : kStages)
    run.expect(stage == "ingest" || end.state(stage) == "blocked",
               stage + " is " + end.state(stage));
  run.expect(run.sessions("ingest") == 1, "ingest was started again");
  const auto words = run.stylescope({"status", "run"}).out;
  run.expect(words.find("ingest failed: ") != std::string::npos &&
                 words.find("the val split gets no images") != std::string::npos,
             "the cause is not named: " + words);
}

// One of two runs is cancelled and submitted again; both share what the base run makes.
void sweep_of_two_runs(Scene& scene, ClusterRun& run) {
  const std::string other = "explain.images=3", base = "run/sweep/";
  const Words sweep{"--sweep", "explain.images=2,3"};
  const auto table = [&] { return read_text(run.run() / "sweep" / "results.txt"); };
  run.copy_stages(scene.undisturbed(), {"ingest", "classifier", "gan", "synthesize", "encoder"});
  const auto said = run.submit(sweep);
  run.expect(said.at("encoder") == "up to date", "encoder: " + said.at("encoder"));
  for (const char* job : {"direction", "explain.images=2 explain", "explain.images=3 report"})
    run.expect(said.contains(job) && said.at(job).starts_with("job "), job + " has no job"s);
  run.expect(!said.contains("explain.images=2 direction"), "direction is not shared");
  const auto cancelled = run.stylescope({"cancel", base + other});
  run.expect(cancelled.out.find("report: cancelled job ") != std::string::npos &&
                 cancelled.out.find("direction: ") == std::string::npos,
             "cancel said: " + cancelled.out + cancelled.err);
  run.watch_to_the_end(240s);
  run.expect(table().find("\n2               done ") != std::string::npos &&
                 table().find("\n3               stopped (explain) ") != std::string::npos,
             "a run was cancelled, and the table says " + table());

  const auto again = run.submit(sweep);
  run.expect(again.at("direction") == "up to date", "direction: " + again.at("direction"));
  for (const char* stage : {" explain", " evaluate", " report"}) {
    run.expect(again.at("explain.images=2"s + stage) == "up to date", "made again:"s + stage);
    run.expect(again.at(other + stage).starts_with("job "), "not submitted again:"s + stage);
  }
  run.watch_to_the_end(240s);
  run.expect(table().find("\n3               done ") != std::string::npos,
             "all was done, and the table says " + table());
  for (const char* values : {"explain.images=2", "explain.images=3"}) {
    const auto status = run.stylescope({"status", base + values});
    run.expect(status.code == 0, values + (": status says " + status.out + status.err));
    run.expect(fs::exists(run.run() / "sweep" / values / "report" / "index.html"),
               values + " has no report"s);
  }
  for (const auto& [stage, words] : run.submit(sweep))
    run.expect(words == "up to date" || stage == "the results", "submitted: " + stage + words);
}

// Two ranks on two nodes are fit; two programs that do not know of one another are not.
void doctor_in_job(Scene& scene, ClusterRun& run) {
  const auto doctor = [&](const std::string& mpi) {
    return scene.cluster().run({"srun", "--nodes=2", "--ntasks=2", "--exclude=n3,n4",
                                "--mpi=" + mpi, STYLESCOPE_BINARY, "doctor", "--in-job"},
                               {}, run.folder());
  };
  const auto fit = doctor("pmix");
  run.expect(fit.code == 0 && fit.out.find("\nfit to run (") != std::string::npos,
             "the doctor does not like a sound job: " + fit.out + fit.err);
  for (const char* words : {"ranks: 2 rank(s), as many as were started",
                            "binding: ", "network: ", "all_reduce over all ranks is right",
                            "all ranks read rank 0's HDF5 file", "time left: "})
    run.expect(fit.out.find(words) != std::string::npos,
               "the doctor does not say '" + std::string(words) + "': " + fit.out);
  const auto apart = doctor("none");
  const auto said = apart.out + apart.err;
  run.expect(apart.code != 0 && said.find("each of them is a world of one rank") != said.npos,
             "the doctor does not see that ranks are apart: " + said);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"time_limit", changed(plan(), [](RunPlan& p) { p.time = "1"; }), time_limit},
      {"lost_node", changed(plan(), [](RunPlan& p) { p.keep_off = {"n1"}; }), lost_node},
      {"cancelled_step", plan(), cancelled_step},
      {"by_srun", plan(), from_images_to_the_report},
      {"by_mpirun", changed(plan(), [](RunPlan& p) { p.launcher = "mpirun"; }),
       from_images_to_the_report},
      {"follow_up", changed(plan(), [](RunPlan& p) { p.restart = "follow_up"; }), follow_up},
      {"resubmission", plan(), resubmission},
      {"shares_of_slides", shares_plan(), shares_of_slides},
      {"doctor_in_job", plan(), doctor_in_job},
      {"sweep", plan(), sweep_of_two_runs},
      {"failure_for_good", plan({"ingest.split.train=0.85", "ingest.split.val=0"}),
       failure_for_good}};
  return all;
}

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

void report(const std::vector<std::string>& problems) {
  for (const auto& problem : problems) ADD_FAILURE() << problem;
}

// They mostly wait: all that were chosen run at the same time.
class Together : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    if (!Scene::shared()) return;
    std::vector<Case> chosen;
    const auto* suite = testing::UnitTest::GetInstance()->current_test_suite();
    for (int i = 0; i < suite->total_test_count(); ++i)
      for (const auto& one : cases())
        if (suite->GetTestInfo(i)->should_run() &&
            std::string(suite->GetTestInfo(i)->name()).ends_with("/" + one.name))
          chosen.push_back(one);
    running_ = std::make_unique<SideBySide>(*Scene::shared(), chosen, 5);
  }
  static void TearDownTestSuite() { running_.reset(); }

  static std::unique_ptr<SideBySide> running_;
};
std::unique_ptr<SideBySide> Together::running_;

TEST_P(Together, EndsWell) {
  STYLESCOPE_NEEDS_SCENE();
  report(running_->problems(GetParam().name));
}
INSTANTIATE_TEST_SUITE_P(Slurm, Together, testing::ValuesIn(cases()), name_of);

TEST(SlurmAlone, preempted) {
  STYLESCOPE_NEEDS_SCENE();
  report(run_case(*Scene::shared(), {"preempted", plan(), preempted}));
}

}  // namespace
}  // namespace stylescope::slurm_tests
