#include "slurm/cluster.hpp"

#include "io/base/error.hpp"
#include "slurm/whole_number.hpp"

#include <algorithm>
#include <set>
#include <sstream>

namespace stylescope {
namespace {

using Words = std::vector<std::string>;

constexpr std::chrono::seconds kLimit{30};
// A suffix without a width: fields are neither padded nor cut.
constexpr const char* kQueueFormat =
    "ArrayJobID:|,ArrayTaskID:|,State:|,Reason:|,NodeList:|,Dependency:|,RestartCnt:|,TimeUsed:|,"
    "TimeLeft:|,StartTime:|";
constexpr size_t kQueueFields = 10, kAccountFields = 4;
constexpr size_t kIdsACall = 500;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Words lines(const std::string& text) {
  Words all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line = trimmed(line); !line.empty()) all.push_back(line);
  return all;
}

Words split(const std::string& text, char by) {
  Words fields;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(by, at), text.size());
    fields.push_back(trimmed(text.substr(at, end - at)));
    at = end + 1;
  }
  return fields;
}

std::string joined(const auto& values) {
  std::ostringstream text;
  const char* comma = "";
  for (const auto& value : values) {
    text << comma << value;
    comma = ",";
  }
  return text.str();
}

// "1-02:03:04", "03:04", "4"; nothing for UNLIMITED, INVALID, NOT_SET.
std::optional<int64_t> seconds(const std::string& text) {
  const auto dash = text.find('-');
  int64_t total = 0;
  if (dash != std::string::npos) {
    const auto days = whole_number(text.substr(0, dash));
    if (!days) return std::nullopt;
    total = *days * 24;
  }
  const Words parts = split(dash == std::string::npos ? text : text.substr(dash + 1), ':');
  if (parts.size() > 3 || (dash != std::string::npos && parts.size() != 3)) return std::nullopt;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto part = whole_number(parts[i]);
    if (!part) return std::nullopt;
    total = (i == 0 ? total : total * 60) + *part;
  }
  return total;
}

// "3-9%3" -> 7, "1,3,8-9" -> 4, "1-9:2" -> 5.
int64_t tasks_in(const std::string& list) {
  int64_t count = 0;
  for (const auto& range : split(list.substr(0, list.find('%')), ',')) {
    const auto colon = range.find(':');
    const auto step =
        colon == std::string::npos ? 1 : whole_number(range.substr(colon + 1)).value_or(1);
    const auto ends = split(range.substr(0, colon), '-');
    const auto first = whole_number(ends.front()), last = whole_number(ends.back());
    if (!first || !last || *last < *first) continue;
    count += (*last - *first) / std::max<int64_t>(step, 1) + 1;
  }
  return std::max<int64_t>(count, 1);
}

std::string unless(const std::string& text, std::initializer_list<const char*> nothing) {
  return std::ranges::find(nothing, text) == nothing.end() ? text : "";
}

QueuedJob queued(const Words& fields) {
  QueuedJob job;
  job.id = whole_number(fields[0]).value_or(0);
  if (const auto task = whole_number(fields[1]))
    job.task = *task;
  else if (unless(fields[1], {"N/A", ""}) != "")
    job.tasks = tasks_in(fields[1]);
  job.state = fields[2];
  job.reason = fields[3];
  job.nodes = unless(fields[4], {"(null)", "N/A"});
  job.dependency = unless(fields[5], {"(null)", "N/A"});
  job.restarts = whole_number(fields[6]).value_or(0);
  job.elapsed = seconds(fields[7]).value_or(0);
  job.left = seconds(fields[8]).value_or(-1);
  job.start = unless(fields[9], {"N/A", "Unknown"});
  return job;
}

FinishedJob finished(const Words& fields) {
  FinishedJob job;
  const auto id = fields[0].substr(0, fields[0].find('_'));
  job.id = whole_number(id).value_or(0);
  if (id.size() < fields[0].size())
    job.task = whole_number(fields[0].substr(id.size() + 1)).value_or(-1);
  job.state = fields[1].substr(0, fields[1].find(' '));  // "CANCELLED by 1000"
  const auto codes = split(fields[2], ':');
  const auto signal = codes.size() > 1 ? whole_number(codes[1]).value_or(0) : 0;
  job.exit_code = static_cast<int>(signal > 0 ? 128 + signal : whole_number(codes[0]).value_or(0));
  job.nodes = unless(fields[3], {"None assigned", "(null)"});
  return job;
}

bool unknown_id(const Captured& said) {
  return said.err.find("Invalid job id") != std::string::npos;
}

std::string what_went_wrong(const std::string& command, const Captured& said) {
  if (said.code == -1)
    return command + ": is not in PATH; work on a login node of the cluster, or load its Slurm";
  if (said.code == -2)
    return command +
           ": has not answered in time; see whether the cluster's controller is up "
           "(scontrol ping), and try again";
  const auto errors = lines(said.err);
  return detail::concatenate(command, ": ", errors.empty() ? "failed" : errors.back(),
                             " (exit code ", said.code, ")");
}

void ask_queue(const Slurm::Run& run, std::vector<int64_t> ids, std::vector<QueuedJob>& found) {
  if (ids.empty()) return;
  const Captured said = run({"squeue", "--noheader", "--all", "--states=all",
                             "--jobs=" + joined(ids), "--Format=" + std::string(kQueueFormat)});
  if (said.code != 0) {
    if (!unknown_id(said))
      throw Error(what_went_wrong("squeue", said) +
                  "; see whether squeue works here, and try again");
    // One unknown id may spoil the answer for all: the halves are asked for by themselves.
    const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(ids.size() / 2);
    if (ids.size() == 1) return;
    ask_queue(run, {ids.begin(), middle}, found);
    ask_queue(run, {middle, ids.end()}, found);
    return;
  }
  for (const auto& line : lines(said.out)) {
    const auto fields = split(line, '|');
    if (fields.size() < kQueueFields) continue;
    QueuedJob job = queued(fields);
    if (std::ranges::find(ids, job.id) != ids.end()) found.push_back(std::move(job));
  }
}

}  // namespace

bool asks_in_vain(const std::string& reason) {
  static const std::set<std::string> kVain{
      "PartitionTimeLimit", "PartitionNodeLimit", "PartitionConfig",   "BadConstraints",
      "InvalidAccount",     "InvalidQOS",         "AccountNotAllowed", "QOSNotAllowed"};
  return kVain.contains(reason) || reason.ends_with("PerJobLimit");
}

bool is_over(const std::string& state) {
  static const std::set<std::string> kOver{"COMPLETED", "FAILED",        "TIMEOUT",   "CANCELLED",
                                           "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE",
                                           "PREEMPTED", "REVOKED"};
  return kOver.contains(state);
}

Slurm::Slurm(Run run) : run_(std::move(run)) {
  if (!run_) run_ = [](const Words& words) { return capture(words, kLimit); };
}

std::string Slurm::unreachable() const {
  const Captured said = run_({"sinfo", "--noheader", "--format=%P"});
  if (said.code == 0) return "";
  std::string why = what_went_wrong("sinfo", said);
  if (said.code > 0) why += "; see whether the cluster's controller is up (scontrol ping)";
  return why;
}

int64_t Slurm::submit(const Words& options, const std::string& script) const {
  Words words{"sbatch", "--parsable"};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(script);
  const Captured said = run_(words);
  // Sites may print words of their own before it.
  const auto answer = lines(said.out);
  if (said.code == 0 && !answer.empty())
    if (const auto id = whole_number(answer.back().substr(0, answer.back().find(';')))) return *id;
  if (said.code < 0) throw Error(what_went_wrong("sbatch", said));
  std::string errors;
  for (const auto& line : lines(said.err)) errors += (errors.empty() ? "" : "; ") + line;
  throw Error(script + ": was not submitted (" +
              (errors.empty() ? "sbatch did not say why" : errors) +
              "); change what the job asks for (section slurm of the configuration, site "
              "profile), and submit again");
}

std::vector<QueuedJob> Slurm::queue(const std::vector<int64_t>& ids) const {
  std::vector<QueuedJob> found;
  for (size_t at = 0; at < ids.size(); at += kIdsACall) {
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    const auto size = std::min(kIdsACall, ids.size() - at);
    ask_queue(run_, {begin, begin + static_cast<std::ptrdiff_t>(size)}, found);
  }
  return found;
}

std::optional<std::vector<FinishedJob>> Slurm::accounts(const std::vector<int64_t>& ids) const {
  std::vector<FinishedJob> found;
  for (size_t at = 0; at < ids.size(); at += kIdsACall) {
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    const std::vector<int64_t> some(
        begin, begin + static_cast<std::ptrdiff_t>(std::min(kIdsACall, ids.size() - at)));
    const Captured said =
        run_({"sacct", "--allocations", "--noheader", "--parsable2", "--jobs=" + joined(some),
              "--format=JobID,State,ExitCode,NodeList"});
    if (said.code != 0) return std::nullopt;
    for (const auto& line : lines(said.out))
      if (const auto fields = split(line, '|'); fields.size() >= kAccountFields)
        found.push_back(finished(fields));
  }
  return found;
}

void Slurm::cancel(const std::vector<int64_t>& ids) const {
  if (ids.empty()) return;
  Words words{"scancel"};
  for (const auto id : ids) words.push_back(std::to_string(id));
  const Captured said = run_(words);
  if (said.code == 0) return;
  if (said.code < 0) throw Error(what_went_wrong("scancel", said));
  const auto harmless = [](const std::string& line) {
    return line.find("Invalid job id") != std::string::npos ||
           line.find("already complet") != std::string::npos;
  };
  for (const auto& line : lines(said.err))
    if (!harmless(line))
      throw Error(line + "; see who owns the jobs: squeue --jobs=" + joined(ids));
}

std::map<std::string, std::string> Slurm::unfit_nodes(const Words& nodes) const {
  std::map<std::string, std::string> unfit;
  if (nodes.empty()) return unfit;
  const Captured said =
      run_({"sinfo", "--noheader", "--Node", "--nodes=" + joined(nodes), "--format=%N|%T"});
  if (said.code != 0) throw Error(what_went_wrong("sinfo", said));
  for (const auto& line : lines(said.out)) {
    const auto fields = split(line, '|');
    if (fields.size() != 2) continue;
    const std::string& state = fields[1];
    bool bad = state.ends_with('*');  // does not answer
    for (const char* begin : {"down", "drain", "fail", "error", "unknown", "inval"})
      bad = bad || state.starts_with(begin);
    if (bad) unfit[fields[0]] = state;
  }
  return unfit;
}

int64_t Slurm::max_array_size() const {
  constexpr int64_t kDefault = 1001;
  for (const auto& line : lines(run_({"scontrol", "show", "config"}).out))
    if (line.starts_with("MaxArraySize"))
      return whole_number(trimmed(line.substr(line.find('=') + 1))).value_or(kDefault);
  return kDefault;
}

}  // namespace stylescope
