#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Why the job ends, found from what is known of each rank. Pure functions.
namespace stylescope {

// What a rank last said of itself.
struct RankReport {
  uint64_t sequence = 0;  // of the collective it last entered; 0: none yet
  bool inside = false;    // still in it
  double seconds = 0;     // since it entered, or left
  std::string call;       // "#17 all_reduce sum Float x 4096"
  int world_size = 0;     // of that collective's communicator
  std::string activity;   // "gan, step 5"; "": none
  bool long_work = false;
};

struct RankState {
  std::string host;
  int64_t pid = 0;
  bool known = true;             // it has a connection
  bool taken_leave = false;      // it had nothing more to do
  bool died = false;             // its connection closed without a word
  double silent_seconds = 0;     // more than 0: no sign of life for so long
  std::optional<int> exit_code;  // it failed by itself
  std::string cause;
  int64_t order = 0;  // of failures: the lowest was known first
  RankReport report;
};

struct Verdict {
  int exit_code = 1;
  std::string text;  // one sentence, or two; the rank, its host, the cause
};

// Seconds after which a wait in a collective is too long: in general, and where all ranks that are
// missing have long work (distributed/communicator.hpp).
struct Patience {
  double general = 0, long_work = 0;
};

// Does anything call for an end?
bool needs_verdict(const std::vector<RankState>& ranks, const Patience& patience);
// Which of all that is known is the cause: a death before a failure (others fail because of it), a
// failure before a silence, a silence before lateness. Nothing where all is well.
std::optional<Verdict> verdict_on(const std::vector<RankState>& ranks, const Patience& patience);

// The host that a verdict's text blames: of the first "rank N on HOST" in it; "" where it blames
// none.
std::string blamed_host(const std::string& verdict);

// The sentence for ranks that entered different collectives; `calls`: what each rank entered;
// `hosts`: where each runs, or empty.
std::string disagreement(const std::vector<std::string>& calls, uint64_t sequence,
                         const std::vector<std::string>& hosts = {});

}  // namespace stylescope
