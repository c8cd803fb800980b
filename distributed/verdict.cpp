#include "distributed/verdict.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <regex>
#include <set>

namespace stylescope {
namespace {

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  return text;
}

// "rank 3", "ranks 0, 1 and 3", "ranks 0, 1, 2, 3 and 12 more".
std::string names(const std::vector<size_t>& ranks) {
  constexpr size_t kShown = 8;
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  const size_t shown = std::min(ranks.size(), kShown);
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  if (shown < ranks.size()) text += " and " + std::to_string(ranks.size() - shown) + " more";
  return text;
}

std::string name(const std::vector<RankState>& ranks, size_t rank) {
  return "rank " + std::to_string(rank) + " on " + ranks[rank].host + " (process " +
         std::to_string(ranks[rank].pid) + ")";
}

std::string last_seen(const RankReport& report) {
  std::string text = report.sequence == 0 ? "it has entered no collective yet"
                     : report.inside      ? "it was in collective " + report.call
                                          : "it had last left collective " + report.call;
  if (!report.activity.empty()) text += ", at " + report.activity;
  return text;
}

// Somebody waits for too long: where the ranks are, seen from the collective that was entered last
// of those in which ranks wait too long.
struct Lateness {
  std::vector<size_t> waiting, missing, elsewhere, unknown;
  size_t first_waiting = 0;
  double limit = 0;
};

std::optional<size_t> waits_longer_than(const std::vector<RankState>& ranks, double limit) {
  std::optional<size_t> found;
  for (size_t r = 0; r < ranks.size(); ++r) {
    const auto& report = ranks[r].report;
    if (ranks[r].taken_leave || !report.inside || report.seconds < limit) continue;
    if (!found || report.sequence > ranks[*found].report.sequence) found = r;
  }
  return found;
}

Lateness sort_out(const std::vector<RankState>& ranks, size_t waiting) {
  Lateness found;
  found.first_waiting = waiting;
  const auto& there = ranks[found.first_waiting].report;
  for (size_t r = 0; r < ranks.size(); ++r) {
    const auto& report = ranks[r].report;
    const bool same =
        report.inside && report.sequence == there.sequence && report.world_size == there.world_size;
    if (same && report.call == there.call)
      found.waiting.push_back(r);
    else if (same)
      found.elsewhere.push_back(r);
    else
      (ranks[r].known ? found.missing : found.unknown).push_back(r);
  }
  return found;
}

std::optional<Lateness> lateness(const std::vector<RankState>& ranks, const Patience& patience) {
  const auto waiting = waits_longer_than(ranks, patience.general);
  if (!waiting) return std::nullopt;
  auto found = sort_out(ranks, *waiting);
  const bool busy =
      !found.missing.empty() && found.elsewhere.empty() &&
      std::ranges::all_of(found.missing, [&](size_t r) { return ranks[r].report.long_work; });
  found.limit = busy ? patience.long_work : patience.general;
  if (ranks[*waiting].report.seconds < found.limit) return std::nullopt;
  return found;
}

Verdict late_verdict(const std::vector<RankState>& ranks, const Lateness& found) {
  const auto& there = ranks[found.first_waiting].report;
  const std::string where = "collective " + there.call;
  const std::string waited = seconds_text(there.seconds);
  if (!found.elsewhere.empty()) {
    const size_t odd = found.elsewhere.front();
    return {1, name(ranks, odd) + " entered " + ranks[odd].report.call + " where " +
                   names(found.waiting) + " entered " + there.call +
                   " (the ranks disagree, and nobody comes on)"};
  }
  if (found.missing.empty() && !found.unknown.empty())
    return {1, names(found.waiting) + (found.waiting.size() == 1 ? " waits" : " wait") + " in " +
                   where + " for " + waited + "; nothing is known of " + names(found.unknown) +
                   ", without a TCP connection to rank 0"};
  if (found.missing.empty())
    return {1, "all ranks have been in " + where + " for " + waited +
                   ", and nothing moves (deadline " + seconds_text(found.limit) +
                   "; the network between the hosts hangs)"};
  const size_t missing = found.missing.front();
  const auto& gone = ranks[missing];
  std::string text = name(ranks, missing);
  if (gone.taken_leave) {
    text += " has ended its work";
  } else {
    text += " stalls: " + last_seen(gone.report);
    if (gone.report.sequence > 0) text += " " + seconds_text(gone.report.seconds) + " ago";
  }
  text += "; " + names(found.waiting) + (found.waiting.size() == 1 ? " waits" : " wait") + " in " +
          where + " for " + waited + " (deadline " + seconds_text(found.limit) + ")";
  if (found.missing.size() > 1) {
    const std::vector<size_t> more(found.missing.begin() + 1, found.missing.end());
    text += "; " + names(more) + (more.size() == 1 ? " is" : " are") + " missing as well";
  }
  return {1, text};
}

std::optional<size_t> first_failure(const std::vector<RankState>& ranks) {
  std::optional<size_t> first;
  for (size_t r = 0; r < ranks.size(); ++r)
    if (ranks[r].exit_code && (!first || ranks[r].order < ranks[*first].order)) first = r;
  return first;
}

// Where more than one other host is there, and none is heard, it is rank 0's own that is cut off.
bool hears_no_other_host(const std::vector<RankState>& ranks, const std::vector<size_t>& silent) {
  std::set<std::string> others;
  for (const size_t r : silent)
    if (ranks[r].host != ranks[0].host) others.insert(ranks[r].host);
  return others.size() > 1 && std::ranges::all_of(ranks, [&](const RankState& r) {
           return r.host == ranks[0].host || r.silent_seconds > 0;
         });
}

Verdict silence_verdict(const std::vector<RankState>& ranks, const std::vector<size_t>& silent) {
  std::string text;
  if (hears_no_other_host(ranks, silent))
    text = "rank 0 on " + ranks[0].host + " hears from no other host (is its own network down?): ";
  text += name(ranks, silent.front()) + " has given no sign of life for " +
          seconds_text(ranks[silent.front()].silent_seconds) +
          " (its host or the network is down, or the process is stopped); when last heard of, " +
          last_seen(ranks[silent.front()].report);
  if (silent.size() > 1)
    text += std::string(silent.size() > 2 ? "; nor have " : "; nor has ") +
            names({silent.begin() + 1, silent.end()});
  return {1, text};
}

}  // namespace

bool needs_verdict(const std::vector<RankState>& ranks, const Patience& patience) {
  const auto failed = [](const RankState& r) {
    return r.died || r.exit_code || r.silent_seconds > 0;
  };
  return std::ranges::any_of(ranks, failed) || lateness(ranks, patience);
}

std::optional<Verdict> verdict_on(const std::vector<RankState>& ranks, const Patience& patience) {
  for (size_t r = 0; r < ranks.size(); ++r)
    if (ranks[r].died)
      return Verdict{1, name(ranks, r) +
                            " has died (killed, out of memory, or a crash); when last heard of, " +
                            last_seen(ranks[r].report)};
  if (const auto first = first_failure(ranks)) {
    const auto& failed = ranks[*first];
    const bool all = std::ranges::all_of(
        ranks, [&](const RankState& r) { return r.exit_code && r.cause == failed.cause; });
    return Verdict{*failed.exit_code, failed.cause + (all ? " (all ranks)"
                                                          : " (rank " + std::to_string(*first) +
                                                                " on " + failed.host + ")")};
  }
  std::vector<size_t> silent;
  for (size_t r = 0; r < ranks.size(); ++r)
    if (ranks[r].silent_seconds > 0) silent.push_back(r);
  if (!silent.empty()) return silence_verdict(ranks, silent);
  if (const auto late = lateness(ranks, patience)) return late_verdict(ranks, *late);
  return std::nullopt;
}

std::string blamed_host(const std::string& verdict) {
  static const std::regex pattern(R"(\brank \d+ on ([A-Za-z0-9._-]+))");
  std::smatch found;
  return std::regex_search(verdict, found, pattern) ? found[1].str() : "";
}

std::string disagreement(const std::vector<std::string>& calls, uint64_t sequence,
                         const std::vector<std::string>& hosts) {
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t r = 0; r < calls.size(); ++r) groups[calls[r]].push_back(r);
  std::vector<std::pair<std::string, std::vector<size_t>>> ordered(groups.begin(), groups.end());
  // The odd ones first.
  std::ranges::stable_sort(ordered, {}, [](const auto& group) { return group.second.size(); });
  std::string text = "the ranks disagree at collective #" + std::to_string(sequence);
  for (size_t i = 0; i < ordered.size(); ++i) {
    text += (i == 0 ? ": " : ", but ") + names(ordered[i].second);
    if (i == 0 && !hosts.empty()) text += " on " + hosts[ordered[i].second.front()];
    text += " entered " + ordered[i].first;
  }
  return text + " (a defect of the program, or not the same program and files on all hosts)";
}

}  // namespace stylescope
