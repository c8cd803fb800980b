#include "slurm/sessions.hpp"

#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using What = RestartDecision::What;
using testing_support::TempDir;

// A session that took the work from one checkpoint to another.
Session session(const std::string& outcome, int64_t from, int64_t to,
                const std::vector<std::string>& suspects = {}) {
  Session made;
  made.outcome = outcome;
  made.cause = "its cause";
  made.before.checkpoint = from;
  made.mark.checkpoint = to;
  made.suspects = suspects;
  made.ended = "2026-01-01T00:00:00Z";
  return made;
}

TEST(Sessions, AnInterruptedOneGoesOnWithoutEnd) {
  std::vector<Session> sessions;
  for (int64_t i = 0; i < 50; ++i) sessions.push_back(session("interrupted", i, i + 1));
  EXPECT_EQ(What::restart, decide_restart(sessions, {3, 100}).what);
  const auto decision = decide_restart(sessions, {3, 49});
  EXPECT_EQ(What::give_up, decision.what);
  EXPECT_NE(std::string::npos, decision.reason.find("slurm.restarts"));
}

TEST(Sessions, DoneEndsAndFailedGivesUp) {
  EXPECT_EQ(What::done, decide_restart({session("done", 0, 5)}, {}).what);
  const auto decision = decide_restart({session("failed", 0, 5)}, {});
  EXPECT_EQ(What::give_up, decision.what);
  EXPECT_NE(std::string::npos, decision.reason.find("its cause"));
}

TEST(Sessions, ThoseWithoutProgressAreBounded) {
  std::vector<Session> sessions{session("interrupted", -1, 4), session("lost", 4, 4),
                                session("lost", 4, 4)};
  EXPECT_EQ(What::restart, decide_restart(sessions, {3, 100}).what);
  sessions.push_back(session("interrupted", 4, 4));
  const auto decision = decide_restart(sessions, {3, 100});
  EXPECT_EQ(What::give_up, decision.what);
  EXPECT_NE(std::string::npos, decision.reason.find("3 sessions in a row"));
  // Progress in between starts the count anew.
  sessions[2] = session("interrupted", 4, 5);
  EXPECT_EQ(What::restart, decide_restart(sessions, {3, 100}).what);
}

TEST(Sessions, FinishedPiecesAreProgressToo) {
  auto one = session("lost", -1, -1);
  one.mark.files = 7;
  EXPECT_EQ(What::restart, decide_restart({one}, {1, 100}).what);
}

TEST(Sessions, NodesThatFailedTwiceAreExcluded) {
  const auto decision =
      decide_restart({session("lost", 0, 1, {"n2", "n3"}), session("interrupted", 1, 2),
                      session("lost", 2, 3, {"n3"})},
                     {});
  EXPECT_EQ(What::restart, decision.what);
  EXPECT_EQ(std::vector<std::string>{"n3"}, decision.excluded);
}

TEST(Sessions, TheirHistoryIsReadBack) {
  const TempDir dir;
  const auto file = dir.path() / "slurm" / "gan.sessions.jsonl";
  EXPECT_TRUE(read_sessions(file).empty());
  Session one;
  one.job = 12;
  one.restart = 2;
  one.nodes = "n[1-2]";
  one.started = "2026-01-01T00:00:00Z";
  one.before.files = 3;
  note_begin(file, one);
  ASSERT_EQ(1u, read_sessions(file).size());
  EXPECT_EQ("", read_sessions(file)[0].ended);
  EXPECT_EQ(one.before, read_sessions(file)[0].mark);  // no word of its end: no progress

  one.ended = "2026-01-01T01:00:00Z";
  one.outcome = "lost";
  one.cause = "rank 1 on n2 has died";
  one.suspects = {"n2"};
  one.mark.checkpoint = 40;
  note_end(file, one);
  std::ofstream(file, std::ios::app)
      << R"({"event":"begin","time":"2026-)";  // killed while it wrote
  const auto sessions = read_sessions(file);
  ASSERT_EQ(1u, sessions.size());
  EXPECT_EQ(12, sessions[0].job);
  EXPECT_EQ(2, sessions[0].restart);
  EXPECT_EQ("n[1-2]", sessions[0].nodes);
  EXPECT_EQ("lost", sessions[0].outcome);
  EXPECT_EQ(std::vector<std::string>{"n2"}, sessions[0].suspects);
  EXPECT_EQ(one.mark, sessions[0].mark);

  std::ofstream(file, std::ios::app) << "\n";
  note_suspects(file, {"n1"});
  EXPECT_EQ(std::vector<std::string>{"n1"}, read_sessions(file)[0].suspects);
  note_submission(file);
  EXPECT_TRUE(read_sessions(file).empty());
}

}  // namespace
}  // namespace stylescope
