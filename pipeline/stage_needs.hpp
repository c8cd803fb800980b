#pragma once

#include "pipeline/run_status.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// What a stage waits for, and what stands in its way: told while a run's stages are judged one
// after another in data-flow order.
namespace stylescope {

class StageNeeds {
 public:
  // The jobs of a stage that was submitted, before any is judged.
  void remember(const StageFacts& stage);
  // What a stage was judged to be.
  void note(const std::string& stage, StageState state) { states_[stage] = state; }

  // The stages whose jobs are not over ("job 12" for other jobs). `stage` was submitted.
  std::vector<std::string> awaited(const StageFacts& stage, const QueuedJob& job) const;
  std::vector<std::string> not_done(const std::vector<std::string>& inputs) const;

  bool is_hopeless(const std::string& name) const;  // failed, or blocked
  // The first input of that kind, failed ones before blocked ones; "": none.
  std::string hopeless_input(const StageFacts& stage) const;
  // The same; else one that stopped, of which Slurm says what it says of these. `stage` was
  // submitted.
  std::string bad_input(const StageFacts& stage) const;

  // "gan, which failed", of a stage that was judged.
  std::string reproach(const std::string& name) const;
  // "needs gan, which failed"; `otherwise` where no input is bad.
  std::string blocked_words(const StageFacts& stage, const std::string& otherwise) const;

 private:
  std::map<int64_t, std::string> owner_;      // of a job's id
  std::map<std::string, StageState> states_;  // of the stages before
};

}  // namespace stylescope
