// Runs of `bench scale` on several numbers of nodes: their files, and the report of all.
#include "pipeline/scale_collection.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/scale_jobs.hpp"
#include "slurm/job_book.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing_support::TempDir;

constexpr NetworkModel kNetwork{3e-6, 1e-10};
constexpr double kCompute = 0.1, kMessage = 4e6;

StepTimes step_of(double compute, double exposed) {
  StepTimes t;
  t.step = compute + exposed;
  t.compute = compute;
  t.exposed = exposed;
  t.steps = 7;
  t.messages = {{kMessage, 1.25}};
  return t;
}

// A run that does what the model says: one rank a node, batch 8 of 8 groups.
ScaleRun run_of(int64_t ranks) {
  ScaleRun run;
  run.settings = {{"gan_batch", 8}, {"threads", 4}, {"device", "cpu"}, {"cpu", "a <fast> one"}};
  run.time = "2026-11-25T10:00:00Z";
  run.hosts = {"n1", "n2"};
  run.ranks = ranks;
  const double exposed = 1.25 * all_reduce_seconds(kNetwork, kMessage, ranks);
  const auto part = kCompute / static_cast<double>(ranks);
  ScaleFindings::Training training{"GAN step", 8, {}, {}};
  if (ranks > 1)
    training.points.push_back({1, step_of(kCompute, 0), step_of(kCompute, 0), kCompute, 8});
  training.points.push_back(
      {ranks, step_of(kCompute, exposed), step_of(part, exposed), kCompute, 8});
  run.findings.subtitle = "made";
  run.findings.trainings = {training};
  for (const double bytes : {256.0, 1e5, 1e8})
    if (ranks > 1)
      run.findings.all_reduces.push_back(
          {bytes, ranks, all_reduce_seconds(kNetwork, bytes, ranks)});
  return run;
}

class ScaleReport : public testing::Test {
 protected:
  void write(int64_t nodes, const ScaleRun& run) {
    const auto folder = dir_ / node_count_name(nodes);
    fs::create_directories(folder);
    write_scale_run(folder / kScaleRunFile, run);
  }
  // 1, 2 and 4 nodes.
  void write_all() {
    for (const int64_t nodes : {1, 2, 4}) write(nodes, run_of(nodes));
  }
  void submitted(int64_t nodes, int64_t job, const std::string& log) {
    const SlurmFiles files(dir_.path());
    JobBook book = read_job_book(files);
    book.stages[node_count_name(nodes)].job = job;
    write_job_book(files, book);
    if (!log.empty()) std::ofstream(files.output(node_count_name(nodes))) << log;
  }
  std::string failure(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  TempDir dir_;
};

TEST_F(ScaleReport, ARunComesBackAsItWas) {
  auto run = run_of(2);
  run.wrong = 3;
  run.findings.trainings[0].points[1].weak.lag = 0.1 + 0.2;
  run.findings.trainings[0].predictions = {predict({0.1, 2, 0.3, {{1e6, 4}}}, kNetwork, 4, 2)};
  run.findings.fit = fit_network(run.findings.all_reduces);
  run.findings.network = kNetwork;
  run.findings.assumptions = {"\"one\"", "two"};
  write_scale_run(dir_ / "a.json", run);
  const auto back = read_scale_run(dir_ / "a.json");
  EXPECT_EQ(back.settings, run.settings);
  EXPECT_EQ(back.wrong, 3);
  EXPECT_EQ(back.findings.trainings.at(0).points.at(1).weak.lag, 0.1 + 0.2);
  EXPECT_EQ(back.findings.trainings[0].points[1].weak.messages.at(0).per_step, 1.25);
  EXPECT_EQ(back.findings.fit->model.latency, run.findings.fit->model.latency);
  EXPECT_EQ(back.findings.assumptions, run.findings.assumptions);
  // And all the rest: written again it is the same text.
  write_scale_run(dir_ / "b.json", back);
  EXPECT_EQ(read_text(dir_ / "a.json"), read_text(dir_ / "b.json"));
  // Without a network.
  write_scale_run(dir_ / "c.json", run_of(1));
  EXPECT_FALSE(read_scale_run(dir_ / "c.json").findings.fit);
}

TEST_F(ScaleReport, RefusesADamagedRun) {
  std::ofstream(dir_ / "a.json") << "{\"format\": 1, ";
  EXPECT_THAT(failure([&] { read_scale_run(dir_ / "a.json"); }), HasSubstr("is damaged"));
  std::ofstream(dir_ / "b.json") << "{\"format\": 1}";
  EXPECT_THAT(failure([&] { read_scale_run(dir_ / "b.json"); }), HasSubstr("is damaged"));
  std::ofstream(dir_ / "c.json") << "{\"format\": 99}";
  EXPECT_THAT(failure([&] { read_scale_run(dir_ / "c.json"); }), HasSubstr("format 99"));
  auto run = run_of(2);
  run.ranks = 4;
  write_scale_run(dir_ / "d.json", run);
  EXPECT_THAT(failure([&] { read_scale_run(dir_ / "d.json"); }), HasSubstr("step of all ranks"));
}

TEST_F(ScaleReport, ComparesWithTheFewestNodesAndWithTheModel) {
  write(2, run_of(2));
  write(4, run_of(4));
  const auto summary = summarise(collect_scale_runs(dir_.path(), {}));
  ASSERT_EQ(summary.trainings.size(), 1u);
  const auto& nodes = summary.trainings[0].nodes;
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].weak_efficiency, 1);
  EXPECT_EQ(nodes[0].strong_efficiency, 1);
  const auto two = run_of(2).findings.trainings[0].points[1];
  const auto four = run_of(4).findings.trainings[0].points[1];
  EXPECT_DOUBLE_EQ(nodes[1].weak_efficiency, two.weak.step / four.weak.step);
  EXPECT_DOUBLE_EQ(nodes[1].strong_efficiency, two.strong.step / four.strong.step / 2);
  EXPECT_DOUBLE_EQ(nodes[1].weak_rate, 4 * 8 / four.weak.step);
  EXPECT_DOUBLE_EQ(nodes[1].strong_rate, 8 / four.strong.step);
  // The runs were made by the model.
  ASSERT_TRUE(summary.fit);
  EXPECT_NEAR(summary.fit->model.latency, kNetwork.latency, 1e-10);
  EXPECT_EQ(summary.fit->points, 6);
  EXPECT_NEAR(nodes[1].weak_model, four.weak.step, 1e-6);
  EXPECT_NEAR(nodes[1].strong_model, four.strong.step, 1e-6);
  EXPECT_NEAR(nodes[1].strong_model_efficiency, nodes[1].strong_efficiency, 1e-4);
  ASSERT_EQ(summary.all_reduces.size(), 2u);
  const auto& last = summary.all_reduces[1];
  EXPECT_EQ(last.small_bytes, 256);
  EXPECT_NEAR(last.latency_model / last.latency, 1, 1e-3);
  EXPECT_DOUBLE_EQ(last.bus_bandwidth, 1.5 * 1e8 / all_reduce_seconds(kNetwork, 1e8, 4));
  EXPECT_EQ(summary.trainings[0].predictions.back().nodes, 1024);
}

TEST_F(ScaleReport, NamesWhatIsMissingAndGoesOn) {
  write_all();
  submitted(1, 11, "");
  submitted(8, 14, "at work\nslurmstepd: error: out of <memory>\n\n");
  submitted(16, 0, "sbatch: error: too many nodes\n");
  fs::create_directories(dir_ / "nodes-2x");
  std::ofstream(dir_ / node_count_name(4) / kScaleRunFile) << "{";
  const auto collection = collect_scale_runs(dir_.path(), {{14, "FAILED"}});
  EXPECT_EQ(collection.runs.size(), 2u);
  ASSERT_EQ(collection.missing.size(), 3u);
  EXPECT_EQ(collection.missing[0].nodes, 4);
  EXPECT_THAT(collection.missing[0].why, HasSubstr("nodes-4/scale.json: is damaged"));
  EXPECT_EQ(collection.missing[1].nodes, 8);
  EXPECT_EQ(collection.missing[1].why,
            "job 14 left no result (FAILED): slurmstepd: error: out of <memory>");
  EXPECT_EQ(collection.missing[1].log, "slurm/nodes-8.log");
  EXPECT_EQ(collection.missing[2].why, "sbatch refused the job: sbatch: error: too many nodes");

  const auto summary = summarise(collection);
  EXPECT_THAT(
      notes_of(collection, summary),
      Contains("missing: 8 nodes: job 14 left no result (FAILED): slurmstepd: error: out of "
               "<memory> (log: slurm/nodes-8.log)"));
  const auto page = scale_collection_page(collection, summary);
  EXPECT_THAT(page, HasSubstr("8 nodes: job 14 left no result (FAILED)"));
  EXPECT_THAT(page, HasSubstr("out of &lt;memory&gt;"));
  EXPECT_THAT(page, HasSubstr("href=\"slurm/nodes-8.log\""));
  EXPECT_THAT(page, HasSubstr("href=\"nodes-2/scale.html\""));
  EXPECT_THAT(page, Not(HasSubstr("http")));
  EXPECT_THAT(page, Not(HasSubstr("<fast>")));
  for (const char* label : {"GAN step: weak efficiency by number of nodes",
                            "GAN step: strong efficiency by number of nodes",
                            "GAN step: images a second by number of nodes",
                            "GAN step: what the time of a step goes into",
                            "Time of an all_reduce by its size, measured and from the model",
                            "GAN step: predicted efficiency by number of nodes"})
    EXPECT_THAT(page, HasSubstr("aria-label=\"" + std::string(label))) << label;
}

TEST_F(ScaleReport, TheCauseIsTheProgramsWhereItSaidOne) {
  write(1, run_of(1));
  submitted(2, 12, "error: no such GPU\nsrun: error: n2: task 1: Exited with exit code 1\n");
  const auto missing = collect_scale_runs(dir_.path(), {}).missing;
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].why, "job 12 left no result: error: no such GPU");
}

TEST_F(ScaleReport, SaysWhatCannotBeCompared) {
  write_all();
  auto other = run_of(4);
  other.settings["threads"] = 2;
  other.settings["gan_parameters"] = 1234;  // the others are of a version that did not write it
  other.wrong = 5;
  write(4, other);
  auto twice = run_of(4);
  write(2, twice);
  const auto notes = summarise(collect_scale_runs(dir_.path(), {})).notes;
  EXPECT_THAT(notes,
              Contains("4 nodes: measured with threads 2, where 1 node has 4; do not compare "
                       "them"));
  EXPECT_THAT(
      notes, Contains("4 nodes: measured with gan_parameters 1234, where 1 node has (not told); do "
                      "not compare them"));
  EXPECT_THAT(notes, Contains("4 nodes: 5 results were wrong: do not trust these figures"));
  EXPECT_THAT(notes, Contains("2 nodes: 4 ranks, where 1 node has 1: ranks a node differ"));
}

TEST_F(ScaleReport, OfOneRankHasNoModel) {
  write(1, run_of(1));
  const auto collection = collect_scale_runs(dir_.path(), {});
  const auto summary = summarise(collection);
  EXPECT_FALSE(summary.fit);
  EXPECT_EQ(tables_of(summary).size(), 1u);
  EXPECT_TRUE(tables_of(summary)[0].rows[0].at("model_time").is_null());
  const auto page = scale_collection_page(collection, summary);
  EXPECT_THAT(page, HasSubstr("One rank moves nothing"));
  EXPECT_THAT(page, HasSubstr("is not known; measure on more nodes"));
  EXPECT_THAT(page, Not(HasSubstr("mpirun")));
}

TEST_F(ScaleReport, SaysWhereTheModelIsFrom) {
  write(1, run_of(2));  // two ranks on one node
  auto collection = collect_scale_runs(dir_.path(), {});
  auto summary = summarise(collection);
  EXPECT_FALSE(summary.across);
  EXPECT_THAT(summary.assumptions, Contains(HasSubstr("a network between nodes is another")));
  EXPECT_THAT(scale_collection_page(collection, summary), HasSubstr("all_reduces of one node"));

  write(2, run_of(4));
  collection = collect_scale_runs(dir_.path(), {});
  summary = summarise(collection);
  EXPECT_TRUE(summary.across);
  EXPECT_THAT(summary.assumptions, Not(Contains(HasSubstr("a network between nodes is another"))));
  const auto page = scale_collection_page(collection, summary);
  EXPECT_THAT(page, HasSubstr("all_reduces of two nodes and more"));
  EXPECT_THAT(page, Not(HasSubstr("of this run")));
}

TEST_F(ScaleReport, PredictsForTheNetworkThatIsAskedFor) {
  write_all();
  const auto collection = collect_scale_runs(dir_.path(), {});
  const auto usual = summarise(collection);
  const auto asked = summarise(collection, {50, 2, 4});
  const StepProfile step{kCompute, 8, 0, {{kMessage, 1.25}}};
  const auto expected = predict(step, {50e-6, 1 / 2e9}, 1024, 4);
  const auto& last = asked.trainings.at(0).predictions.back();
  EXPECT_EQ(last.nodes, 1024);
  EXPECT_EQ(last.ranks, 4096);
  EXPECT_DOUBLE_EQ(last.weak_step, expected.weak_step);
  EXPECT_DOUBLE_EQ(last.strong_step, expected.strong_step);
  // What was measured stands beside the model of what was measured.
  EXPECT_EQ(asked.trainings[0].nodes.at(2).weak_model,
            usual.trainings.at(0).nodes.at(2).weak_model);
  const auto notes = notes_of(collection, asked);
  EXPECT_THAT(notes, Contains("prediction assumes: a message between any two ranks takes 50 us and "
                              "1 byte in 2 GB/s, as given; links do not share a bottleneck"));
  EXPECT_THAT(notes, Contains(HasSubstr("4 ranks on each node")));
  // A latency alone leaves the bandwidth as it was fitted.
  const auto slow = summarise(collection, {50, 0, 0});
  EXPECT_NEAR(slow.trainings.at(0).predictions.back().transfer,
              predict(step, {50e-6, kNetwork.seconds_per_byte}, 1024, 1).transfer, 1e-6);
}

TEST_F(ScaleReport, OfNothingSaysWhy) {
  EXPECT_THAT(failure([&] { collect_scale_runs(dir_.path(), {}); }),
              HasSubstr("holds no measurement"));
  submitted(2, 12, "");
  EXPECT_THAT(failure([&] {
                collect_scale_runs(dir_.path(), {{12, "PENDING"}});
              }),
              HasSubstr("2 nodes: job 12 left no result (PENDING)"));
  EXPECT_THAT(failure([&] { collect_scale_runs(dir_ / "nowhere", {}); }),
              HasSubstr("cannot be read"));
}

TEST_F(ScaleReport, LeavesPageTableAndJson) {
  write_all();
  testing::internal::CaptureStdout();
  collate_scale(dir_.path(), {}, true);
  const auto printed = nlohmann::json::parse(testing::internal::GetCapturedStdout());
  EXPECT_EQ(printed, nlohmann::json::parse(read_text(dir_ / kScaleRunFile)));
  EXPECT_EQ(printed.at("nodes"), (std::vector<int64_t>{1, 2, 4}));
  const auto& rows = printed.at("tables").at("scaling").at("rows");
  ASSERT_EQ(rows.size(), 6u);  // weak and strong
  EXPECT_EQ(rows[0].at("efficiency"), 100);
  EXPECT_THAT(read_text(dir_ / "scale.txt"), HasSubstr("busbw [GB/s]"));
  EXPECT_THAT(read_text(dir_ / kScalePageFile), HasSubstr("Scaling over nodes"));
}

// The scripts of `--nodes 1,4`, of a configuration with these resources for stage gan.
std::string scripts_of(const std::string& gan, int64_t tasks_per_node = 0) {
  const TempDir dir;
  std::ofstream(dir / "run.yaml") << "slurm: {stages: {gan: {" << gan << "}}}\n";
  std::ofstream(dir / "site.yaml") << "name: here\n";
  ScaleJobs jobs;
  jobs.nodes = "1,4";
  jobs.folder = dir / "out";
  jobs.config = (dir / "run.yaml").string();
  jobs.site = (dir / "site.yaml").string();
  jobs.own.tasks_per_node = tasks_per_node;
  jobs.dry_run = true;
  testing::internal::CaptureStdout();
  try {
    submit_scale(jobs);
  } catch (const UsageError& error) {
    testing::internal::GetCapturedStdout();
    return error.what();
  }
  return testing::internal::GetCapturedStdout();
}

TEST(ScaleJobs, TasksOfTheConfigurationAreSpreadOverItsNodes) {
  for (const char* gan : {"nodes: 2, tasks: 8", "nodes: 2, tasks_per_node: 4"}) {
    const auto text = scripts_of(gan);
    EXPECT_THAT(text, HasSubstr("#SBATCH --ntasks-per-node=4")) << gan;
    EXPECT_THAT(text, HasSubstr("--ranks 4 ")) << gan;
    EXPECT_THAT(text, HasSubstr("--ranks 16 ")) << gan;
  }
  for (const char* unclear : {"nodes: 3, tasks: 8", "tasks: 8"}) {
    EXPECT_THAT(scripts_of(unclear), HasSubstr("for 8 tasks")) << unclear;
    EXPECT_THAT(scripts_of(unclear), HasSubstr("give --tasks-per-node")) << unclear;
    EXPECT_THAT(scripts_of(unclear, 2), HasSubstr("--ranks 8 ")) << unclear;
  }
  EXPECT_THAT(scripts_of("tasks: 1"), HasSubstr("--ranks 4 "));
}

TEST(ScaleJobs, NumbersOfNodes) {
  EXPECT_EQ(parse_node_counts("8,1-2,4"), (std::vector<int64_t>{1, 2, 4, 8}));
  for (const char* text : {"", "0,1", "2,x", "-1", "1,2,1", "1.5"})
    EXPECT_THROW(parse_node_counts(text), UsageError) << text;
}

}  // namespace
}  // namespace stylescope
