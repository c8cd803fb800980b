// One failing rank ends the job quickly, with the cause said once, and costs nothing but the work
// since the last checkpoint: every training stage on four ranks, struck by one fault after another
// until it is through, ends in the bits of an undisturbed run.
#include "distributed/host.hpp"
#include "tests/end_to_end/program.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <regex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;

constexpr int kRanks = 4;
constexpr double kDeadline = 3;   // seconds
constexpr double kPatience = 60;  // until the cause is said
constexpr double kGone = 10;      // after the cause was said

struct Case {
  std::string stage;
  std::vector<std::string> inputs;
  int64_t steps;
};
const std::vector<Case> kCases{{"classifier", {"ingest"}, 11},
                               {"gan", {"ingest", "classifier"}, 80},
                               {"encoder", {"ingest", "classifier", "gan", "synthesize"}, 30}};

struct Fault {
  std::string kind;
  int rank = 0;
  int64_t step = 0, collective = 1;
};

// The kinds in a drawn order, one after another on the way through the stage, each at a drawn
// place.
std::vector<Fault> drawn_faults(uint32_t seed, int64_t steps) {
  std::mt19937 draw(seed);
  std::vector<std::string> kinds{"throw", "kill", "stall", "disagree"};
  std::shuffle(kinds.begin(), kinds.end(), draw);
  std::vector<Fault> faults;
  const auto part = steps / static_cast<int64_t>(kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    const auto within = [&](int64_t n) {
      return static_cast<int64_t>(draw() % static_cast<uint32_t>(n));
    };
    faults.push_back({kinds[i], static_cast<int>(draw() % kRanks),
                      static_cast<int64_t>(i) * part + within(part), 1 + within(3)});
  }
  return faults;
}

std::string text_of(const Fault& f, const std::string& stage) {
  return f.kind + ":" + std::to_string(f.rank) + ":" + stage + ":" + std::to_string(f.step) + ":" +
         std::to_string(f.collective);
}

std::vector<std::string> arguments_for(const Case& c) {
  return smoke({"--only", c.stage, "--set", "distributed.deadline=" + std::to_string(kDeadline)});
}

// One line on stderr names the rank, its host, and what happened.
void expect_cause(const Fault& fault, const Outcome& outcome) {
  const std::string rank = "rank " + std::to_string(fault.rank) + " on " + host_name();
  std::vector<std::string> said;
  std::istringstream lines(outcome.err);
  for (std::string line; std::getline(lines, line);)
    if (line.find("error: ") != std::string::npos) said.push_back(line);
  ASSERT_EQ(said.size(), 1U) << outcome.err;
  EXPECT_THAT(said[0], HasSubstr(rank));
  const std::map<std::string, std::string> words{{"throw", "an injected fault"},
                                                 {"kill", "has died"},
                                                 {"stall", "stalls: "},
                                                 {"disagree", "the ranks disagree at collective #"},
                                                 {"stop", "has given no sign of life"}};
  EXPECT_THAT(said[0], HasSubstr(words.at(fault.kind)));
}

// Does every process of the job end by then?
void expect_gone(const std::vector<pid_t>& ranks) {
  for (const pid_t rank : ranks)
    EXPECT_TRUE(leaves(rank, std::chrono::steady_clock::now() + std::chrono::seconds(1))) << rank;
}

void strike(const TempDir& dir, const Case& c, const Fault& fault) {
  SCOPED_TRACE(text_of(fault, c.stage));
  ::setenv("STYLESCOPE_FAULT", text_of(fault, c.stage).c_str(), 1);
  Program job(dir.path(), arguments_for(c), kRanks);
  ::unsetenv("STYLESCOPE_FAULT");
  std::vector<pid_t> ranks;
  const auto begin = std::chrono::steady_clock::now();
  while (job.running() && ranks.size() < kRanks) {
    ranks = job.rank_pids();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto since = [](auto when) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - when).count();
  };
  while (job.running() && job.said_so_far().find("error: ") == std::string::npos &&
         since(begin) < kPatience)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto said = std::chrono::steady_clock::now();
  const auto outcome = job.wait();
  EXPECT_LT(since(said), kGone);
  const double seconds = since(begin);
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.code, 75);
  EXPECT_FALSE(fs::exists(dir / "run" / c.stage)) << "it was not struck";
  expect_cause(fault, outcome);
  expect_gone(ranks);
  std::cout << "  " << text_of(fault, c.stage) << ": gone after " << seconds << " s\n";
}

const std::map<std::string, std::string>& undisturbed_bits(const Case& c) {
  static std::map<std::string, std::map<std::string, std::string>> bits;
  if (!bits.contains(c.stage)) {
    TempDir dir;
    copy_stages(undisturbed(0), dir.path(), c.inputs);
    const auto outcome = stylescope(dir.path(), arguments_for(c), kRanks);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    bits[c.stage] = significant_files(dir / "run");
  }
  return bits.at(c.stage);
}

void run_through(const Case& c, uint32_t seed) {
  SCOPED_TRACE(c.stage + ", seed " + std::to_string(seed));
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(), c.inputs);
  for (const auto& fault : drawn_faults(seed, c.steps)) {
    strike(dir, c, fault);
    if (testing::Test::HasFailure()) return;
  }
  const auto outcome = stylescope(dir.path(), arguments_for(c), kRanks);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(c.stage + ": goes on from the checkpoint of step "));
  EXPECT_EQ(significant_files(dir / "run"), undisturbed_bits(c));
}

class Faults : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(In, Faults, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.stage; });

TEST_P(Faults, EndTheJobAndCostNothing) {
  for (uint32_t seed = 1; seed <= 3; ++seed) run_through(GetParam(), seed);
}

class SoakFaults : public Faults {};
INSTANTIATE_TEST_SUITE_P(In, SoakFaults, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.stage; });

TEST_P(SoakFaults, EndTheJobAndCostNothing) {
  for (uint32_t seed = 100; seed < 120; ++seed) run_through(GetParam(), seed);
}

// Nothing of a stopped process runs, its monitor neither: the others notice its silence.
TEST(StoppedRank, IsNoticedByItsSilence) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(), kCases[1].inputs);
  strike(dir, kCases[1], {"stop", 3, 20, 2});
}

// A step that does not end cannot keep a job that was asked to stop.
TEST(StopDeadline, EndsAStepThatDoesNotEnd) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(), kCases[1].inputs);
  auto arguments = smoke({"--only", "gan", "--set", "distributed.stop_deadline=2"});
  ::setenv("STYLESCOPE_FAULT", "stall:1:gan:18:1", 1);
  Program job(dir.path(), arguments, 2);
  ::unsetenv("STYLESCOPE_FAULT");
  const auto checkpoints =
      dir / "run" / "gan.partial" / "checkpoints" / "checkpoint-18.safetensors";
  while (job.running() && !fs::exists(checkpoints))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  job.send(SIGUSR1);
  const auto outcome = job.wait();
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("asked to stop 2 s ago"));
  EXPECT_THAT(outcome.err, HasSubstr("run the same command again to go on from the last one"));
  const auto again = stylescope(dir.path(), arguments, 2);
  EXPECT_EQ(again.code, 0) << again.err;
}

}  // namespace
}  // namespace stylescope::end_to_end
