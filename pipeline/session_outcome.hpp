#pragma once

#include "io/stage_state.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace stylescope {

// Tells how a session of a stage goes (io/stage_state.hpp: StageOutcome), for whoever has to know
// it when the program is gone. What begins and what is done the root tells; a failure tells the
// rank that meets it. Every rank has one.
class SessionOutcome {
 public:
  SessionOutcome(std::filesystem::path run_dir, bool root)
      : run_dir_(std::move(run_dir)), root_(root) {}

  // From now on of this stage or task. How an earlier session of it ended counts no more.
  void of(const std::string& session);
  void running();
  void done();
  // In a catch block: the exception at hand; what comes after done() is not the stage's. A reason
  // that another try would meet again stands before one that it might not, and that before an
  // interruption. Before the work began, nobody writes over another process that is at work, nor
  // over work that was done.
  void failed() const;

 private:
  bool others_work() const;
  void tell(const std::string& state, const std::string& cause) const;
  std::filesystem::path file() const { return outcome_file(run_dir_, session_); }

  std::filesystem::path run_dir_;
  bool root_;
  std::string session_;
  bool begun_ = false, done_ = false;
};

// Those of the sessions that are at work end here, without having come to a point where they
// could.
void interrupt_sessions(const std::filesystem::path& run_dir,
                        const std::vector<std::string>& sessions, const std::string& cause);

}  // namespace stylescope
