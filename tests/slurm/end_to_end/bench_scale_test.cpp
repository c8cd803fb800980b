// `bench scale --submit` on a real Slurm cluster: a job for each number of nodes, one report.
#include "io/atomic_file.hpp"
#include "slurm/job_book.hpp"
#include "tests/slurm/end_to_end/scene.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope::slurm_tests {
namespace {

using namespace std::chrono_literals;

// The smallest networks and the fewest steps there are.
const Words kSmallest{
    "bench",  "scale",         "--submit", "--site",   "site.yaml", "--seconds",
    "0",      "--threads",     "1",        "--device", "cpu",       "--batch",
    "4",      "--resolution",  "8",        "--depth",  "18",        "--channel-base",
    "64",     "--channel-max", "8",        "--width",  "8",         "--out",
    "scaling"};

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void measured_and_reported(Scene& scene, ClusterRun& run) {
  // Eight nodes are more than there are, which is known only when the job waits.
  const auto said = run.stylescope(with(kSmallest, {"--nodes", "2,1,8"}));
  run.expect(said.code == 0, "submit ended with " + std::to_string(said.code) + ": " + said.err);
  const auto folder = run.folder() / "scaling";
  auto jobs = read_job_book(SlurmFiles(folder)).stages;
  run.expect(jobs.size() == 4, "submitted: " + said.out);
  for (const char* name : {"nodes-1", "nodes-2", "nodes-8", "collate"})
    run.expect(said.out.find(name + (": job " + std::to_string(jobs[name].job)) + "\n") !=
                   std::string::npos,
               name + (" is not in: " + said.out));
  const auto hopeless = std::to_string(jobs["nodes-8"].job);
  run.expect(said.err.find("scancel " + hopeless) != std::string::npos,
             "nothing said of eight nodes: " + said.err);
  scene.cluster().wait_until_ended(jobs["nodes-1"].job, 90s);
  scene.cluster().wait_until_ended(jobs["nodes-2"].job, 90s);
  scene.cluster().ask({"scancel", hopeless});
  scene.cluster().wait_until_ended(jobs["collate"].job, 60s);

  const auto report = nlohmann::json::parse(read_text(folder / "scale.json"));
  run.expect(report.at("nodes") == std::vector<int64_t>{1, 2}, report.dump(1));
  run.expect(report.at("missing").size() == 1 && report.at("missing")[0].at("nodes") == 8,
             "missing: " + report.at("missing").dump(1));
  std::vector<int64_t> ranks;
  for (const auto& row : report.at("tables").at("scaling").at("rows"))
    if (row.at("name") == "GAN step" && row.at("scaling") == "weak")
      ranks.push_back(row.at("ranks"));
  run.expect(ranks == std::vector<int64_t>{1, 2}, "ranks are not those of the nodes");
  run.expect(report.at("tables").at("all_reduce").at("rows")[0].at("nodes") == 2,
             "no all_reduce over two nodes");
  for (const char* file : {"scale.html", "scale.txt", "nodes-1/scale.html", "nodes-2/scale.html"})
    run.expect(fs::exists(folder / file), file + std::string(" is missing"));
}

TEST(SlurmAlone, bench_scale) {
  STYLESCOPE_NEEDS_SCENE();
  RunPlan plan;
  plan.nodes = 1;
  for (const auto& problem :
       run_case(*Scene::shared(), {"bench_scale", plan, measured_and_reported}))
    ADD_FAILURE() << problem;
}

}  // namespace
}  // namespace stylescope::slurm_tests
