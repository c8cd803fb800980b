#pragma once

#include "distributed/line_socket.hpp"
#include "distributed/monitor.hpp"
#include "distributed/verdict.hpp"

#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace stylescope {

// What the ranks and the hub say to each other, as the first field of a line.
namespace monitor_words {
inline constexpr const char* hello = "hello";  // token, rank, host, process id
inline constexpr const char* welcome = "welcome";
inline constexpr const char* beat = "beat";  // a report follows (from a rank)
inline constexpr const char* fail = "fail";  // exit code, cause
inline constexpr const char* bye = "bye";
inline constexpr const char* report = "report";  // from the hub: what do you do?
inline constexpr const char* die = "die";        // from the hub: exit code, cause
}  // namespace monitor_words

// How often a sign of life is due.
std::chrono::milliseconds beat_interval(double deadline);

std::vector<std::string> to_fields(const RankReport& report);
RankReport report_from(const std::vector<std::string>& fields);  // of a line: from field 1 on

// The thread of rank 0 that every rank's monitor is connected to (monitor.hpp).
class MonitorHub {
 public:
  // Throws Error when no port can be opened.
  MonitorHub(int size, MonitorVoice voice);
  // Waits until all ranks have taken leave.
  ~MonitorHub();
  MonitorHub(const MonitorHub&) = delete;
  MonitorHub& operator=(const MonitorHub&) = delete;

  // What a rank needs to connect: lines "host", "token", "port", then one address a line.
  std::string invitation() const;
  void set_deadlines(const Deadlines& deadlines);

 private:
  using Clock = std::chrono::steady_clock;
  struct Peer {
    LineSocket socket;
    Clock::time_point heard;
    bool connected = false;
  };
  struct Stranger {
    LineSocket socket;
    Clock::time_point came;
  };
  void serve();
  void sleep(std::chrono::milliseconds time);
  void meet_strangers();
  bool admit(Stranger& stranger);
  void listen_to(size_t rank);
  void look_for_silence();
  void tell_all(const std::vector<std::string>& fields);
  [[noreturn]] void conclude(const Verdict& verdict);
  bool all_have_left() const;

  MonitorVoice voice_;
  std::string token_;
  Listener listener_;
  std::vector<Peer> peers_;
  std::vector<RankState> states_;
  std::vector<Stranger> strangers_;
  int64_t failures_ = 0;
  std::mutex mutex_;  // of what follows
  Deadlines deadlines_;
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace stylescope
