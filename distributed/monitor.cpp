#include "distributed/monitor.hpp"

#include "distributed/host.hpp"
#include "distributed/monitor_hub.hpp"
#include "io/base/quiet_thread.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <unistd.h>

namespace stylescope {
namespace {

using std::chrono::milliseconds;
namespace words = monitor_words;

constexpr auto kConnect = milliseconds(3000);
// For the hub to tell this rank to leave once it has failed.
constexpr auto kAnswer = milliseconds(5000);

struct Invitation {
  std::string host, token, port;
  std::vector<std::string> addresses;
};

Invitation read_invitation(const std::string& text) {
  Invitation read;
  std::istringstream lines(text);
  std::getline(lines, read.host);
  std::getline(lines, read.token);
  std::getline(lines, read.port);
  for (std::string address; std::getline(lines, address);) read.addresses.push_back(address);
  // On the hub's own host the loopback, which stands last, is the sure way.
  if (read.host == host_name()) std::ranges::reverse(read.addresses);
  return read;
}

bool welcomed(LineSocket& socket) {
  const auto until = std::chrono::steady_clock::now() + kConnect;
  while (socket.open() && std::chrono::steady_clock::now() < until) {
    wait_readable({socket.fd()}, milliseconds(100));
    for (const auto& line : socket.receive())
      if (line[0] == words::welcome) return true;
  }
  return false;
}

LineSocket connect_to_hub(const Invitation& hub, int rank) {
  for (const auto& address : hub.addresses) {
    auto socket = connect_to(address, hub.port, kConnect);
    if (socket &&
        socket->send({words::hello, hub.token, std::to_string(rank), host_name(),
                      std::to_string(::getpid())}) &&
        welcomed(*socket))
      return std::move(*socket);
  }
  return {};
}

RankReport report_of(const FlightRecord::Entry& entry) {
  RankReport report;
  report.sequence = entry.sequence;
  report.inside = entry.inside;
  report.seconds = std::chrono::duration<double>(FlightRecord::Clock::now() - entry.since).count();
  report.call = describe(entry);
  report.world_size = entry.world_size;
  report.long_work = entry.long_work > 0;
  report.activity = entry.activity;
  if (entry.step >= 0) report.activity += ", step " + std::to_string(entry.step);
  return report;
}

std::vector<std::string> report_line(const char* word, const FlightRecord::Entry& entry) {
  auto fields = to_fields(report_of(entry));
  fields.insert(fields.begin(), word);
  return fields;
}

}  // namespace

Monitor::Monitor(int rank, int size, const FlightRecord& record,
                 const std::function<std::string(std::string)>& broadcast, MonitorVoice voice)
    : rank_(rank), record_(record), voice_(std::move(voice)) {
  if (!voice_)
    voice_ = [](const std::string& text, bool aloud) {
      if (aloud) std::fprintf(stderr, "error: %s\n", text.c_str());
    };
  if (rank == 0) hub_ = std::make_unique<MonitorHub>(size, voice_);
  const auto invitation = read_invitation(broadcast(hub_ ? hub_->invitation() : ""));
  hub_host_ = invitation.host;
  socket_ = connect_to_hub(invitation, rank);
  if (!socket_.open())
    std::fprintf(stderr,
                 "warning: rank %d on %s has no TCP connection to rank 0 on %s (a firewall between "
                 "the hosts?); when another rank is lost, this one finds out by its own deadline "
                 "only\n",
                 rank, host_name().c_str(), hub_host_.c_str());
  connected_ = socket_.open();
  heard_ = told_ = FlightRecord::Clock::now();
  thread_ = quiet_thread([this] { watch(); });
}

Monitor::~Monitor() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    socket_.send({words::bye});
  }
  thread_.join();
}

void Monitor::set_deadlines(const Deadlines& deadlines) {
  if (hub_) hub_->set_deadlines(deadlines);
  const std::lock_guard lock(mutex_);
  deadlines_ = deadlines;
}

void Monitor::fail(int exit_code, const std::string& cause) {
  if (tell({words::fail, std::to_string(exit_code), cause}))
    std::this_thread::sleep_for(kAnswer);  // and the watching thread leaves
  leave(exit_code, cause + " (rank " + std::to_string(rank_) + " on " + host_name() + ")", true);
}

void Monitor::watch() {
  while (true) {
    int descriptor = -1;
    milliseconds interval{};
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
      descriptor = socket_.fd();
      interval = beat_interval(deadlines_.collective);
    }
    const auto before = FlightRecord::Clock::now();
    wait_readable({descriptor}, std::min(interval / 2, milliseconds(100)));
    forgive_pause(FlightRecord::Clock::now() - before);
    read_hub();
    beat();
    look_at_myself(record_.read());
  }
}

// A job that was stopped and goes on (scontrol suspend, Ctrl-Z) has heard nothing meanwhile.
void Monitor::forgive_pause(FlightRecord::Clock::duration slept) {
  if (slept < std::chrono::seconds(1)) return;
  const std::lock_guard lock(mutex_);
  heard_ += slept;
}

void Monitor::read_hub() {
  std::vector<std::vector<std::string>> lines;
  bool lost = false;
  double silent = 0, deadline = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!connected_ || stop_) return;
    lines = socket_.receive();
    const auto now = FlightRecord::Clock::now();
    if (!lines.empty()) heard_ = now;
    lost = !socket_.open();
    silent = std::chrono::duration<double>(now - heard_).count();
    deadline = deadlines_.collective;
  }
  for (const auto& line : lines) {
    if (line[0] == words::report) tell(report_line(words::beat, record_.read()));
    if (line[0] == words::die && line.size() == 3)
      leave(static_cast<int>(std::strtol(line[1].c_str(), nullptr, 10)), line[2], false);
  }
  if (lost) hub_is_lost("has died (killed, out of memory, or a crash)");
  if (silent > deadline)
    hub_is_lost("has given no sign of life for " + std::to_string(static_cast<int>(silent)) +
                " s (its host or the network is down, or the process is stopped)");
}

void Monitor::beat() {
  {
    const std::lock_guard lock(mutex_);
    const auto now = FlightRecord::Clock::now();
    if (now - told_ < beat_interval(deadlines_.collective)) return;
    told_ = now;
  }
  tell(report_line(words::beat, record_.read()));
}

// Where there is a hub, it judges: it knows the others.
void Monitor::look_at_myself(const FlightRecord::Entry& now) {
  const auto report = report_of(now);
  {
    const std::lock_guard lock(mutex_);
    const bool patient = now.kind == Collective::Kind::barrier;
    const double limit = patient ? deadlines_.long_work : deadlines_.collective;
    if (connected_ || !now.inside || report.seconds < limit) return;
  }
  leave(1,
        "rank " + std::to_string(rank_) + " on " + host_name() + " waits in collective " +
            report.call + " for " + std::to_string(static_cast<int>(report.seconds)) +
            " s, and another rank does not come",
        true);
}

// Everyone finds that out at the same time; the first that speaks ends the job, where a launcher
// looks after it.
void Monitor::hub_is_lost(const std::string& how) {
  if (rank_ > 1) std::this_thread::sleep_for(milliseconds(1500 + 50 * std::min(rank_, 100)));
  leave(1, "rank 0 on " + hub_host_ + " " + how, true);
}

void Monitor::leave(int exit_code, const std::string& cause, bool aloud) {
  // Rank 0 is told by a thread of its own, which has said the cause and sees the others off.
  while (hub_ && !aloud) std::this_thread::sleep_for(kAnswer);
  voice_(cause, aloud);
  std::_Exit(exit_code);
}

bool Monitor::tell(const std::vector<std::string>& fields) {
  const std::lock_guard lock(mutex_);
  return socket_.send(fields);
}

}  // namespace stylescope
