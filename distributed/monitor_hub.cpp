#include "distributed/monitor_hub.hpp"

#include "distributed/host.hpp"
#include "io/base/quiet_thread.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <sys/resource.h>

namespace stylescope {
namespace {

using std::chrono::milliseconds;

// Between the first news of something wrong and the verdict: what others know arrives, and a death
// is not mistaken for the failures that follow from it.
constexpr auto kGrace = milliseconds(300);
// A connection that says nothing is none of ours.
constexpr auto kManners = std::chrono::seconds(10);
// For the ranks to leave once they are told, before rank 0 leaves itself.
constexpr auto kFarewell = milliseconds(1000);

std::string random_token() {
  std::random_device source;
  std::string token;
  for (int i = 0; i < 4; ++i) {
    std::array<char, 9> part{};
    std::snprintf(part.data(), part.size(), "%08x", source());
    token += part.data();
  }
  return token;
}

// A descriptor a rank.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

double number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

}  // namespace

milliseconds beat_interval(double deadline) {
  return milliseconds(static_cast<int64_t>(std::clamp(deadline * 1000 / 6, 50.0, 1000.0)));
}

std::vector<std::string> to_fields(const RankReport& report) {
  return {std::to_string(report.sequence),   report.inside ? "1" : "0",
          std::to_string(report.seconds),    report.call,
          std::to_string(report.world_size), report.activity,
          report.long_work ? "1" : "0"};
}

RankReport report_from(const std::vector<std::string>& fields) {
  if (fields.size() < 8) return {};
  return {
      std::strtoull(fields[1].c_str(), nullptr, 10), fields[2] == "1", number(fields[3]), fields[4],
      static_cast<int>(number(fields[5])),           fields[6],        fields[7] == "1"};
}

MonitorHub::MonitorHub(int size, MonitorVoice voice)
    : voice_(std::move(voice)),
      token_(random_token()),
      listener_(listen_anywhere()),
      peers_(static_cast<size_t>(size)),
      states_(static_cast<size_t>(size)) {
  allow_many_descriptors();
  for (auto& state : states_) state.known = false;
  thread_ = quiet_thread([this] { serve(); });
}

MonitorHub::~MonitorHub() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  thread_.join();
}

std::string MonitorHub::invitation() const {
  std::string text = host_name() + "\n" + token_ + "\n" + listener_.port;
  for (const auto& address : listener_.addresses) text += "\n" + address;
  return text;
}

void MonitorHub::set_deadlines(const Deadlines& deadlines) {
  const std::lock_guard lock(mutex_);
  deadlines_ = deadlines;
}

void MonitorHub::serve() {
  auto next_beat = Clock::now();
  std::optional<Clock::time_point> verdict_due;
  while (true) {
    Patience patience;
    bool leaving = false;
    {
      const std::lock_guard lock(mutex_);
      patience = {deadlines_.collective, deadlines_.long_work};
      leaving = leaving_;
    }
    const auto interval = beat_interval(patience.general);
    sleep(verdict_due || leaving ? milliseconds(20) : interval / 2);
    meet_strangers();
    for (size_t rank = 0; rank < peers_.size(); ++rank) listen_to(rank);
    look_for_silence();
    if (!verdict_due && needs_verdict(states_, patience)) {
      tell_all({monitor_words::report});
      verdict_due = Clock::now() + kGrace;
    }
    if (verdict_due && Clock::now() >= *verdict_due) {
      if (const auto verdict = verdict_on(states_, patience)) conclude(*verdict);
      verdict_due.reset();  // who was late has come meanwhile
    }
    if (leaving && all_have_left()) return;
    if (Clock::now() >= next_beat) {
      tell_all({monitor_words::beat});
      next_beat = Clock::now() + interval;
    }
  }
}

void MonitorHub::sleep(milliseconds time) {
  std::vector<int> descriptors{listener_.descriptor.get()};
  for (const auto& peer : peers_) descriptors.push_back(peer.socket.fd());
  for (const auto& stranger : strangers_) descriptors.push_back(stranger.socket.fd());
  wait_readable(descriptors, time);
}

void MonitorHub::meet_strangers() {
  while (auto socket = accept_from(listener_))
    strangers_.push_back({std::move(*socket), Clock::now()});
  std::erase_if(strangers_, [this](Stranger& stranger) {
    return admit(stranger) || !stranger.socket.open() || Clock::now() - stranger.came > kManners;
  });
}

bool MonitorHub::admit(Stranger& stranger) {
  for (const auto& line : stranger.socket.receive()) {
    const auto rank =
        line.size() == 5 ? std::strtoull(line[2].c_str(), nullptr, 10) : peers_.size();
    if (line[0] != monitor_words::hello || line.size() < 2 || line[1] != token_ ||
        rank >= peers_.size() || peers_[rank].connected) {
      stranger.socket.close();
      return false;
    }
    states_[rank].host = line[3];
    states_[rank].pid = std::strtoll(line[4].c_str(), nullptr, 10);
    auto& peer = peers_[rank];
    peer.socket = std::move(stranger.socket);
    peer.heard = Clock::now();
    peer.connected = true;
    states_[rank].known = true;
    peer.socket.send({monitor_words::welcome});
    return true;
  }
  return false;
}

void MonitorHub::listen_to(size_t rank) {
  auto& peer = peers_[rank];
  auto& state = states_[rank];
  if (!peer.connected || state.died || state.taken_leave) return;
  for (const auto& line : peer.socket.receive()) {
    peer.heard = Clock::now();
    if (line[0] == monitor_words::beat) state.report = report_from(line);
    if (line[0] == monitor_words::bye) state.taken_leave = true;
    if (line[0] == monitor_words::fail && line.size() == 3 && !state.exit_code) {
      state.exit_code = static_cast<int>(number(line[1]));
      state.cause = line[2];
      state.order = ++failures_;
    }
  }
  if (state.taken_leave)
    peer.socket.close();
  else if (!peer.socket.open())
    state.died = true;
}

void MonitorHub::look_for_silence() {
  double deadline = 0;
  {
    const std::lock_guard lock(mutex_);
    deadline = deadlines_.collective;
  }
  const auto now = Clock::now();
  double longest = 0;
  for (size_t rank = 0; rank < peers_.size(); ++rank) {
    states_[rank].silent_seconds = 0;
    if (!peers_[rank].connected || states_[rank].taken_leave) continue;
    states_[rank].silent_seconds = std::chrono::duration<double>(now - peers_[rank].heard).count();
    longest = std::max(longest, states_[rank].silent_seconds);
  }
  // Those who fell silent together, with a host or a network, were last heard up to a beat apart.
  const double beat = std::chrono::duration<double>(beat_interval(deadline)).count();
  const double limit = longest > deadline ? deadline - 2 * beat : deadline;
  for (auto& state : states_)
    if (state.silent_seconds <= limit) state.silent_seconds = 0;
}

void MonitorHub::tell_all(const std::vector<std::string>& fields) {
  for (size_t rank = 0; rank < peers_.size(); ++rank)
    if (peers_[rank].socket.open() && !states_[rank].taken_leave) peers_[rank].socket.send(fields);
}

void MonitorHub::conclude(const Verdict& verdict) {
  voice_(verdict.text, true);
  tell_all({monitor_words::die, std::to_string(verdict.exit_code), verdict.text});
  // This process is told as well, and must not be the first to go.
  const auto until = Clock::now() + kFarewell;
  while (Clock::now() < until) {
    bool left = true;
    for (size_t rank = 1; rank < peers_.size(); ++rank) {
      peers_[rank].socket.receive();
      left = left && !peers_[rank].socket.open();
    }
    if (left) break;
    sleep(milliseconds(20));
  }
  std::_Exit(verdict.exit_code);
}

bool MonitorHub::all_have_left() const {
  for (size_t rank = 0; rank < peers_.size(); ++rank)
    if (peers_[rank].connected && !states_[rank].taken_leave) return false;
  return true;
}

}  // namespace stylescope
