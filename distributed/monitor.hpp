#pragma once

#include "distributed/communicator.hpp"
#include "distributed/flight_record.hpp"
#include "distributed/line_socket.hpp"
#include "distributed/verdict.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

// Rule 5: one failing rank ends the job quickly, with the cause said once.
//
// Every rank has a thread that keeps a TCP connection to a hub, a thread of rank 0, apart from MPI
// and NCCL: it works while a collective hangs, when a process dies (the connection closes) and when
// a host or the network goes (no sign of life any more). Whoever fails, or waits in a collective
// for longer than the deadline, tells the hub; the hub asks all ranks what they last entered, says
// the cause once, and tells everybody to leave. Where the hub itself is gone, each rank leaves by
// itself.
namespace stylescope {

// Says a text of one or more lines; `aloud` on the one rank that speaks for all (stderr), else for
// the rank's own log.
using MonitorVoice = std::function<void(const std::string& text, bool aloud)>;

class MonitorHub;

class Monitor {
 public:
  // Collective. `record` must live longer; `broadcast` gives rank 0's text to all.
  Monitor(int rank, int size, const FlightRecord& record,
          const std::function<std::string(std::string)>& broadcast, MonitorVoice voice);
  // Takes leave: this rank is needed no more. Rank 0 waits until all have.
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  void set_deadlines(const Deadlines& deadlines);
  // This rank cannot go on: tells the hub, and leaves when the hub has told all (or does not
  // answer). From any thread.
  [[noreturn]] void fail(int exit_code, const std::string& cause);

 private:
  void watch();
  void forgive_pause(FlightRecord::Clock::duration slept);
  void read_hub();
  void beat();
  void look_at_myself(const FlightRecord::Entry& now);
  [[noreturn]] void hub_is_lost(const std::string& how);
  [[noreturn]] void leave(int exit_code, const std::string& cause, bool aloud);
  bool tell(const std::vector<std::string>& fields);

  int rank_;
  const FlightRecord& record_;
  MonitorVoice voice_;
  std::unique_ptr<MonitorHub> hub_;  // of rank 0
  std::string hub_host_;
  std::mutex mutex_;  // of what follows
  LineSocket socket_;
  Deadlines deadlines_;
  bool connected_ = false;  // to the hub, at the start
  bool stop_ = false;
  FlightRecord::Clock::time_point heard_, told_;
  std::thread thread_;
};

}  // namespace stylescope
