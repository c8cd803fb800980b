// Rule 5 without MPI: real processes, one of which gets lost; the others leave and one says why.
#include "distributed/monitor.hpp"

#include "distributed/host.hpp"
#include "io/base/error.hpp"

#include <array>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kRanks = 4;
constexpr double kDeadline = 1.5;

struct Rank {
  int rank;
  Monitor& monitor;
  FlightRecord& record;
  // Waits in a collective for ever.
  void wait_in(uint64_t sequence) {
    record.doing("gan", 5);
    record.enter({Collective::Kind::broadcast, ReduceOp::sum, 0, torch::zeros({8}), {}}, sequence,
                 kRanks);
    while (true) ::pause();
  }
};

struct Outcome {
  std::vector<int> statuses;  // of waitpid, by rank
  std::string said;           // aloud, by all ranks
  double seconds = 0;
};

// The ranks' only common ground besides the monitor: a pipe to each for the invitation.
class Job {
 public:
  explicit Job(const std::function<void(Rank)>& work) {
    for (auto& ends : invitations_) EXPECT_EQ(::pipe(ends.data()), 0);
    EXPECT_EQ(::pipe(voices_.data()), 0);
    for (int rank = 0; rank < kRanks; ++rank) {
      const pid_t pid = ::fork();
      if (pid == 0) run(rank, work);
      pids_.push_back(pid);
    }
  }

  // `stopped`: a rank that stands still, and is killed once the others have gone, as a launcher
  // does.
  Outcome wait(int stopped = -1) {
    Outcome outcome;
    const auto begin = Clock::now();
    outcome.statuses.resize(kRanks);
    for (int rank = 0; rank < kRanks; ++rank)
      if (rank != stopped) outcome.statuses[static_cast<size_t>(rank)] = end_of(rank, begin);
    if (stopped >= 0) {
      ::kill(pids_[static_cast<size_t>(stopped)], SIGKILL);
      outcome.statuses[static_cast<size_t>(stopped)] = end_of(stopped, begin);
    }
    outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    ::close(voices_[1]);
    std::array<char, 4096> part{};
    for (ssize_t n; (n = ::read(voices_[0], part.data(), part.size())) > 0;)
      outcome.said.append(part.data(), static_cast<size_t>(n));
    return outcome;
  }

 private:
  int end_of(int rank, Clock::time_point begin) const {
    const pid_t pid = pids_[static_cast<size_t>(rank)];
    int status = 0;
    while (::waitpid(pid, &status, WNOHANG) == 0) {
      if (Clock::now() - begin > std::chrono::seconds(15)) ::kill(pid, SIGKILL);
      std::this_thread::sleep_for(milliseconds(2));
    }
    return status;
  }

  [[noreturn]] void run(int rank, const std::function<void(Rank)>& work) {
    ::alarm(30);
    const auto broadcast = [&](const std::string& text) {
      if (rank == 0) {
        for (auto& ends : invitations_)
          if (::write(ends[1], text.data(), text.size()) < 0) ::_exit(99);
        return text;
      }
      std::array<char, 4096> buffer{};
      const auto n = ::read(invitations_[static_cast<size_t>(rank)][0], buffer.data(), 4096);
      return std::string(buffer.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
    };
    const auto voice = [&](const std::string& text, bool aloud) {
      const std::string line = text + "\n";
      if (aloud && ::write(voices_[1], line.data(), line.size()) < 0) ::_exit(98);
    };
    {
      FlightRecord record;
      Monitor monitor(rank, kRanks, record, broadcast, voice);
      monitor.set_deadlines({kDeadline, 60});
      work({rank, monitor, record});
    }
    ::_exit(0);
  }

  std::array<std::array<int, 2>, kRanks> invitations_{};
  std::array<int, 2> voices_{};
  std::vector<pid_t> pids_;
};

void expect_all_left(const Outcome& outcome, int code, int except = -1) {
  for (int rank = 0; rank < kRanks; ++rank) {
    const int status = outcome.statuses[static_cast<size_t>(rank)];
    if (rank == except) continue;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == code) << rank << ": " << status;
  }
  EXPECT_LT(outcome.seconds, 12);
}

// One line, said once.
void expect_said(const Outcome& outcome, const std::string& text) {
  EXPECT_THAT(outcome.said, HasSubstr(text));
  EXPECT_EQ(outcome.said.find('\n'), outcome.said.size() - 1) << outcome.said;
}

std::string on_host(int rank) { return "rank " + std::to_string(rank) + " on " + host_name(); }

TEST(Monitor, AllIsWell) {
  Job job([](Rank r) { std::this_thread::sleep_for(milliseconds(r.rank * 100)); });
  const auto outcome = job.wait();
  expect_all_left(outcome, 0);
  EXPECT_EQ(outcome.said, "");
}

TEST(Monitor, LongWorkOutsideOfCollectivesIsNoStall) {
  Job job([](Rank) { std::this_thread::sleep_for(milliseconds(2500)); });
  const auto outcome = job.wait();
  expect_all_left(outcome, 0);
  EXPECT_EQ(outcome.said, "");
}

TEST(Monitor, RanksWaitPatientlyForOneWithLongWork) {
  Job job([](Rank r) {
    if (r.rank == 1) {
      r.record.long_work(true);
      std::this_thread::sleep_for(milliseconds(2500));
      r.record.long_work(false);
    } else {
      r.record.enter({}, 1, kRanks);
      std::this_thread::sleep_for(milliseconds(2500));
      r.record.leave();
    }
  });
  const auto outcome = job.wait();
  expect_all_left(outcome, 0);
  EXPECT_EQ(outcome.said, "");
}

class Lost : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Rank, Lost, testing::Values(0, 2));

TEST_P(Lost, ByAFailure) {
  const int lost = GetParam();
  Job job([lost](Rank r) {
    if (r.rank == lost) r.monitor.fail(2, "images.h5: is damaged");
    r.wait_in(17);
  });
  const auto outcome = job.wait();
  expect_all_left(outcome, 2);
  expect_said(outcome, "images.h5: is damaged (" + on_host(lost) + ")");
  EXPECT_LT(outcome.seconds, 5);
}

TEST_P(Lost, ByDeath) {
  const int lost = GetParam();
  Job job([lost](Rank r) {
    std::this_thread::sleep_for(milliseconds(300));
    if (r.rank == lost) ::raise(SIGKILL);
    r.wait_in(17);
  });
  const auto outcome = job.wait();
  expect_all_left(outcome, 1, lost);
  EXPECT_EQ(WTERMSIG(outcome.statuses[static_cast<size_t>(lost)]), SIGKILL);
  EXPECT_THAT(outcome.said, HasSubstr(on_host(lost)));
  EXPECT_THAT(outcome.said, HasSubstr("has died"));
}

TEST(LostOnce, ByStalling) {
  Job job([](Rank r) {
    if (r.rank == 2) {
      r.record.enter({}, 16, kRanks);
      r.record.leave();
      while (true) ::pause();
    }
    r.wait_in(17);
  });
  const auto outcome = job.wait();
  expect_all_left(outcome, 1);
  expect_said(outcome, on_host(2));
  EXPECT_THAT(outcome.said, HasSubstr("stalls: it had last left collective #16 barrier"));
  EXPECT_THAT(outcome.said, HasSubstr("ranks 0, 1 and 3 wait in collective #17 broadcast"));
}

TEST_P(Lost, ByStandingStill) {
  const int lost = GetParam();
  Job job([lost](Rank r) {
    std::this_thread::sleep_for(milliseconds(300));
    if (r.rank == lost) ::raise(SIGSTOP);
    r.wait_in(17);
  });
  const auto outcome = job.wait(lost);
  expect_all_left(outcome, 1, lost);
  EXPECT_THAT(outcome.said, HasSubstr(on_host(lost)));
  EXPECT_THAT(outcome.said, HasSubstr("has given no sign of life"));
}

TEST(LostOnce, ByEndingTooEarly) {
  Job job([](Rank r) {
    if (r.rank == 1) return;
    r.wait_in(17);
  });
  const auto outcome = job.wait();
  expect_all_left(outcome, 1, 1);
  expect_said(outcome, on_host(1));
  EXPECT_THAT(outcome.said, HasSubstr("has ended its work"));
}

}  // namespace
}  // namespace stylescope
