// The real program: exit codes, and what it says.
#include "io/base/error.hpp"
#include "pipeline/number_list.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/description.hpp"
#include "stages/networks/generator.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_run.hpp"

#include <array>
#include <cstdio>
#include <fstream>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_support::TempDir;

struct Outcome {
  int code;
  std::string output;  // stdout and stderr
};

Outcome stylescope(const std::string& arguments, const TempDir& dir) {
  const std::string command =
      "cd '" + dir.path().string() + "' && '" STYLESCOPE_BINARY "' " + arguments + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return {-1, "popen failed"};
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, output};
}

TEST(Program, HelpIsEverywhere) {
  TempDir dir;
  for (const char* command :
       {"", "run", "generate", "explain", "metrics", "import", "inspect", "export network"}) {
    const auto outcome = stylescope(std::string(command) + " --help", dir);
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_THAT(outcome.output, HasSubstr("--help")) << command;
  }
}

TEST(Program, AnFOfTheUsersOwnIsNotExported) {
  TempDir dir;
  BlackBoxDescription f;
  f.kind = "command";
  f.command = {"python3", "f.py"};
  f.folder = "/somewhere";
  std::filesystem::create_directories(dir / "run/classifier");
  std::ofstream(dir / "run" / artifacts::black_box) << to_json(f).dump();
  const auto outcome = stylescope("export network run --what classifier --out o", dir);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("f of this run is your own, the program 'python3 f.py'"));
}

TEST(Program, BadUsageIsTwoAndOneLine) {
  TempDir dir;
  std::ofstream(dir / "run.yaml") << "seed: 1\ngan:\n  bacth: 3\n";
  const auto typing_error = stylescope("run run.yaml", dir);
  EXPECT_EQ(typing_error.code, 2);
  EXPECT_EQ(typing_error.output,
            "run.yaml:3: key 'gan.bacth' is unknown; did you mean 'gan.batch'?\n");
  for (const char* arguments :
       {"", "nonsense", "run", "run none.yaml", "run run.yaml --bad", "run run.yaml --only nothing",
        "generate --weights g.safetensors --out o",
        "generate --weights g.safetensors --seeds 3-1 --out o", "explain nowhere a.png",
        "metrics nowhere", "export network nowhere --what generator --out o",
        "export network . --out o",
        "export network . --what discriminator --as torchscript --out o",
        "import a.safetensors --out .", "import a.safetensors --as nothing --out o",
        "import a.safetensors --as classifier --mean 1,x --out o", "inspect"}) {
    const auto outcome = stylescope(arguments, dir);
    EXPECT_EQ(outcome.code, 2) << arguments << ": " << outcome.output;
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "runs"));
}

TEST(Program, AShareIsOfOneStageThatCanBeSharedOut) {
  TempDir dir;
  std::ofstream(dir / "run.yaml") << "images: tile\ntile:\n  source: phantom\n";
  const auto says = [&](const std::string& arguments) {
    const auto outcome = stylescope("run run.yaml " + arguments, dir);
    EXPECT_EQ(outcome.code, 2) << arguments;
    return outcome.output;
  };
  for (const char* share :
       {"2", "/2", "1/", "2/2", "-1/2", "0/0", "1/2x", "x/2", "1 /2", "1/99999999999999999999"})
    EXPECT_THAT(says("--only tile --task '" + std::string(share) + "'"), HasSubstr("is no share"));
  EXPECT_THAT(says("--task 0/2"), HasSubstr("is a share of one stage; name it: --only tile"));
  EXPECT_THAT(says("--only tile,gan --task 0/2"), HasSubstr("is a share of one stage"));
  EXPECT_THAT(says("--only gan --task 0/2"), HasSubstr("stage 'gan' cannot be shared out"));
  EXPECT_FALSE(std::filesystem::exists(dir / "runs"));
}

TEST(Program, TheDoctorEndsWhateverHangs) {
  TempDir dir;
  const auto outcome = stylescope("doctor --deadline 0.001", dir);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.output, HasSubstr(": did not end within 0.001 s (--deadline)"));
}

TEST(Program, FailureIsOne) {
  TempDir dir;
  const auto outcome =
      stylescope("generate --weights none.safetensors --seeds 0 --out o.safetensors", dir);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("none.safetensors"));
}

TEST(Program, WeightsGoOutAndInAndAreInspected) {
  TempDir dir;
  Generator g(GeneratorOptions{.z_dim = 8,
                               .w_dim = 8,
                               .resolution = 8,
                               .channel_base = 64,
                               .channel_max = 8,
                               .mapping_layers = 2});
  initialize(g, 1);
  save_generator((dir / "g.safetensors").string(), g);
  const auto says = [&](const std::string& arguments, int code) {
    const auto outcome = stylescope(arguments, dir);
    EXPECT_EQ(outcome.code, code) << outcome.output;
    return outcome.output;
  };
  EXPECT_THAT(says("export network g.safetensors --out h.safetensors", 0),
              HasSubstr("h.safetensors: generator of 8x8x3"));
  EXPECT_THAT(says("import h.safetensors --out i.safetensors", 0), HasSubstr("generator of 8x8x3"));
  EXPECT_THAT(says("inspect i.safetensors", 0), HasSubstr("network: generator\n"));
  const auto json = nlohmann::json::parse(says("inspect i.safetensors --json", 0));
  EXPECT_EQ(json.at("resolution"), 8);
  EXPECT_THAT(says("import none.safetensors --out j.safetensors", 1),
              HasSubstr("none.safetensors"));
  EXPECT_THAT(says("inspect none", 1), HasSubstr("none: is not there"));
}

TEST(Program, DumpDefaultLoadsAndDryRunChangesNothing) {
  TempDir dir;
  EXPECT_EQ(stylescope("run --dump-default > all.yaml", dir).code, 0);
  const auto outcome = stylescope("run all.yaml --dry-run --set seed=5", dir);
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("seed: 5\n"));
  EXPECT_THAT(outcome.output, HasSubstr("# ingest: runs (not there yet)"));
  EXPECT_FALSE(std::filesystem::exists(dir / "runs"));
}

TEST(Program, SubmissionsSayWhatTheyWillTake) {
  TempDir dir;
  std::ofstream(dir / "run.yaml")
      << "ingest: {resolution: 16, phantom: {subjects: 20, images_per_subject: 2}}\n"
         "classifier: {depth: 18, stem: small, width: 4}\n"
         "gan: {kimg: 1, batch: 16, w_dim: 8, channel_base: 128, channel_max: 8}\n"
         "synthesize: {samples: 400}\n"
         "encoder: {depth: 18, stem: small, width: 4}\n";
  const auto outcome = stylescope("submit run.yaml --dry-run", dir);
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("#SBATCH"));
  EXPECT_THAT(outcome.output, HasSubstr("#### What it will take"));
  EXPECT_THAT(outcome.output, HasSubstr("hours are not known without measured rates"));
  EXPECT_THAT(outcome.output, HasSubstr("400 pairs x (1 x 16 x 16 bytes + 8 of w x 4 bytes + 8)"));
  const auto measured =
      stylescope("submit run.yaml --dry-run --measure --measure-seconds 0 --only ingest,gan", dir);
  EXPECT_EQ(measured.code, 0) << measured.output;
  EXPECT_THAT(measured.output, HasSubstr("time: (1,008 images x "));
  for (const char* wrong : {"--rates nowhere", "--dry-run --rates nowhere", "--measure"})
    EXPECT_EQ(stylescope(std::string("submit run.yaml ") + wrong, dir).code, 2) << wrong;
  EXPECT_FALSE(std::filesystem::exists(dir / "runs"));
}

TEST(Program, TheReportOverNodesIsToldOfTheNetwork) {
  TempDir dir;
  const std::string submit = "bench scale --submit --nodes 1,2 --dry-run ";
  const auto outcome = stylescope(
      submit + "--latency-us 2.5 --bandwidth-gbs 12 --ranks-per-node 1 --site generic", dir);
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  const std::string network = " --latency-us 2.5 --bandwidth-gbs 12 --ranks-per-node 1";
  EXPECT_THAT(outcome.output,
              HasSubstr("--collate " + (dir / "bench-scale").string() + network + "\n"));
  EXPECT_THAT(outcome.output, HasSubstr(network + " --ranks 2 "));
  // Unasked, the report takes as many ranks a node as were measured.
  EXPECT_THAT(stylescope(submit, dir).output, Not(HasSubstr("--ranks-per-node")));
  for (const char* wrong : {"--ranks", "--json"}) {
    const auto refused =
        stylescope(submit + wrong + (wrong == std::string("--ranks") ? " 2" : ""), dir);
    EXPECT_EQ(refused.code, 2) << wrong;
    EXPECT_THAT(refused.output, HasSubstr("bench scale --submit: " + std::string(wrong)));
  }
}

// On a run as the earlier stages leave it, and on one whose gan stage is at work.
TEST(Program, MetricsOfARun) {
  namespace fs = std::filesystem;
  SelfCommunicator self;
  testing_support::TinyRun run(self);
  TempDir dir;
  const auto run_dir = run.path().string();
  std::ofstream(run.path() / "config.yaml") << "seed: 4\ndevice: cpu\nthreads: 1\n";
  const std::string metrics = "metrics '" + run_dir + "' --images 20 --batch 8 ";
  const auto says = [&](const std::string& arguments, int code) {
    const auto outcome = stylescope(metrics + arguments, dir);
    EXPECT_EQ(outcome.code, code) << arguments << ": " << outcome.output;
    return outcome.output;
  };
  const auto table = says("--suspects 3", 0);
  EXPECT_THAT(table, HasSubstr("frechet_distance[classifier-features]"));
  EXPECT_THAT(table, HasSubstr("seed 4, psi 1, noise random"));
  EXPECT_THAT(table, HasSubstr("16 training images for 32 features"));
  for (const char* file : {"quality.json", "quality.csv", "index.html", "memorisation.png"})
    EXPECT_TRUE(fs::exists(run.path() / "quality" / file)) << file;
  std::ifstream in(run.path() / "quality" / "quality.json");
  const auto json = nlohmann::json::parse(in);
  EXPECT_EQ(json.at("figures").size(), 5);
  EXPECT_EQ(json.at("memorisation").at("suspects").size(), 3);

  fs::create_directories(run.path() / "gan.partial" / "snapshots");
  fs::rename(run.path() / artifacts::generator,
             run.path() / "gan.partial" / "snapshots" / "step-000000010.safetensors");
  std::ofstream(run.path() / "gan.partial" / "snapshots" / "step-000000009.safetensors") << "old";
  EXPECT_THAT(says("--figures fd --json --out here", 0), HasSubstr("step-000000010.safetensors"));
  EXPECT_TRUE(fs::exists(dir / "here/quality.json"));

  EXPECT_THAT(says("--figures fd,fid", 2), HasSubstr("'fid' is none of fd, kid, pr, ppl"));
  EXPECT_THAT(says("--features none.pt", 2), HasSubstr("none.pt: is not there"));
  EXPECT_THAT(says("--features a.pt --inception b.pt", 2), HasSubstr("exclude each other"));
  EXPECT_THAT(says("--feature-input unit", 2), HasSubstr("--feature-input says how --features"));
  std::ofstream(dir / "b.pt") << "-";
  EXPECT_THAT(says("--inception b.pt --feature-input unit", 2),
              HasSubstr("--feature-input is unit, but the published Inception takes bytes"));
  EXPECT_THAT(says("--weights none.safetensors", 2), HasSubstr("none.safetensors"));
  std::ofstream(dir / "text.pt") << "no network";
  EXPECT_THAT(says("--features text.pt", 1), HasSubstr("text.pt: is no TorchScript network"));
  fs::remove_all(run.path() / "gan.partial");
  EXPECT_THAT(says("", 2), HasSubstr("holds no snapshot; run 'stylescope run' to stage 'gan'"));
  fs::remove_all(run.path() / "classifier");
  EXPECT_THAT(says("", 2), HasSubstr("classifier.safetensors: is not there yet"));
}

TEST(NumberList, RangesAndNumbers) {
  EXPECT_EQ(parse_numbers("--seeds", "0-3,9"), (std::vector<int64_t>{0, 1, 2, 3, 9}));
  for (const char* text : {"", "a", "3-1", "1,,2", "-1", "1-", "0-99999999999"})
    EXPECT_THROW(parse_numbers("--seeds", text), UsageError) << text;
}

}  // namespace
}  // namespace stylescope
