#include "pipeline/stage_needs.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cstdlib>

namespace stylescope {

using detail::concatenate;
using State = StageState;

void StageNeeds::remember(const StageFacts& stage) {
  for (const auto id : stage.jobs->ids()) owner_[id] = stage.name;
}

std::vector<std::string> StageNeeds::awaited(const StageFacts& stage, const QueuedJob& job) const {
  std::vector<std::string> names;
  const auto add = [&names](const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  // "afterok:1(unfulfilled),afterok:5_*(unfulfilled)".
  const std::string& text = job.dependency;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(",?", at), text.size());
    const std::string one = text.substr(at, end - at);
    at = end + 1;
    const size_t colon = one.rfind(':');
    if (colon == std::string::npos || one.find("(fulfilled") != std::string::npos) continue;
    const int64_t id = std::strtoll(one.c_str() + colon + 1, nullptr, 10);
    const auto owner = owner_.find(id);
    add(owner == owner_.end() ? concatenate("job ", id) : owner->second);
  }
  if (names.empty())
    for (const auto& name : stage.jobs->after)
      if (const auto found = states_.find(name);
          found == states_.end() || found->second != State::done)
        add(name);
  return names;
}

std::vector<std::string> StageNeeds::not_done(const std::vector<std::string>& inputs) const {
  std::vector<std::string> missing;
  for (const auto& input : inputs)
    if (const auto found = states_.find(input);
        found != states_.end() && found->second != State::done)
      missing.push_back(input);
  return missing;
}

bool StageNeeds::is_hopeless(const std::string& name) const {
  const auto found = states_.find(name);
  return found != states_.end() &&
         (found->second == State::failed || found->second == State::blocked);
}

std::string StageNeeds::hopeless_input(const StageFacts& stage) const {
  for (const auto state : {State::failed, State::blocked})
    for (const auto& input : stage.inputs)
      if (const auto found = states_.find(input); found != states_.end() && found->second == state)
        return input;
  return "";
}

std::string StageNeeds::bad_input(const StageFacts& stage) const {
  if (const auto input = hopeless_input(stage); !input.empty()) return input;
  for (const auto& name : stage.jobs->after)
    if (const auto found = states_.find(name);
        found != states_.end() && found->second == State::stopped)
      return name;
  return "";
}

std::string StageNeeds::reproach(const std::string& name) const {
  const State state = states_.at(name);
  return name + ", which " +
         (state == State::failed    ? "failed"
          : state == State::stopped ? "stopped"
                                    : "cannot start");
}

std::string StageNeeds::blocked_words(const StageFacts& stage, const std::string& otherwise) const {
  const auto input = bad_input(stage);
  return input.empty() ? otherwise : "needs " + reproach(input);
}

}  // namespace stylescope
