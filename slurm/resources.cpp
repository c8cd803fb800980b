#include "slurm/resources.hpp"

#include "io/base/error.hpp"
#include "slurm/whole_number.hpp"

#include <algorithm>
#include <optional>

namespace stylescope {
namespace {

template <class Value>
void fill(Value& own, const Value& behind) {
  if (own == Value{}) own = behind;
}

// "1:30:00" -> 1 30 0; empty where a part is no number.
std::vector<int64_t> parts(const std::string& text) {
  std::vector<int64_t> numbers;
  for (size_t at = 0; at <= text.size();) {
    const size_t colon = std::min(text.find(':', at), text.size());
    const auto number = whole_number(text.substr(at, colon - at));
    if (!number) return {};
    numbers.push_back(*number);
    at = colon + 1;
  }
  return numbers;
}

}  // namespace

void Resources::describe(Fields& f) {
  const IntRange count{0, 1 << 20};
  f.field("nodes", nodes, count, "hosts");
  f.field("tasks", tasks, count, "ranks, of all nodes together (or tasks_per_node)");
  f.field("tasks_per_node", tasks_per_node, count, "ranks on each node");
  f.field("cpus_per_task", cpus_per_task, count, "cores a rank");
  f.field("gpus_per_node", gpus_per_node, count,
          "GPUs on each node (preferred: ranks see all of them)");
  f.field("gpus_per_task", gpus_per_task, count, "GPUs a rank");
  f.field("memory", memory, "of each node, as sbatch --mem: 64G");
  f.field("time", time, "limit of one session, as sbatch --time: 24:00:00, 2-12, 90 (minutes)");
  f.field("partition", partition, "sbatch --partition");
  f.field("account", account, "sbatch --account");
  f.field("qos", qos, "sbatch --qos");
  f.field("constraint", constraint, "sbatch --constraint");
  f.field("array", array, count,
          "tile alone: share the slides out to so many jobs of these resources, side by side; 0: "
          "one job for all");
  f.field("array_limit", array_limit, count, "of them at work at the same time; 0: all");
  f.field("options", options, "further options of sbatch, as written: [--exclusive]");
}

void Resources::check(const std::string& where) const {
  seconds_of(time, where + ".time");
  if (tasks > 0 && tasks_per_node > 0 && nodes > 0 && tasks != nodes * tasks_per_node)
    throw UsageError(detail::concatenate(where, ": tasks is ", tasks, ", but ", nodes,
                                         " nodes with ", tasks_per_node, " each are ",
                                         nodes * tasks_per_node, "; leave one of the three out"));
  if (tasks > 0 && nodes > tasks)
    throw UsageError(detail::concatenate(where, ": ", nodes, " nodes for ", tasks,
                                         " tasks; give at most as many nodes as tasks"));
  if (gpus_per_node > 0 && gpus_per_task > 0)
    throw UsageError(where +
                     ": gpus_per_node and gpus_per_task exclude each other; prefer "
                     "gpus_per_node, with which ranks of a host reach one another's GPUs");
}

int64_t Resources::rank_count() const {
  if (tasks > 0) return tasks;
  return std::max<int64_t>(nodes, 1) * std::max<int64_t>(tasks_per_node, 1);
}

int64_t Resources::gpu_count() const {
  if (gpus_per_task > 0) return gpus_per_task * rank_count();
  return gpus_per_node * std::max<int64_t>(nodes, 1);
}

Resources over(const Resources& own, const Resources& behind) {
  Resources result = own;
  // How many ranks is one question: whoever answers a part of it answers all of it.
  if (own.tasks == 0 && own.tasks_per_node == 0) {
    fill(result.tasks, own.nodes > 0 ? 0 : behind.tasks);
    fill(result.tasks_per_node, behind.tasks_per_node);
  }
  if (own.tasks == 0) fill(result.nodes, behind.nodes);
  fill(result.cpus_per_task, behind.cpus_per_task);
  if (own.gpus_per_node == 0 && own.gpus_per_task == 0) {
    result.gpus_per_node = behind.gpus_per_node;
    result.gpus_per_task = behind.gpus_per_task;
  }
  fill(result.memory, behind.memory);
  fill(result.time, behind.time);
  fill(result.partition, behind.partition);
  fill(result.account, behind.account);
  fill(result.qos, behind.qos);
  fill(result.constraint, behind.constraint);
  fill(result.array, behind.array);
  fill(result.array_limit, behind.array_limit);
  result.options = behind.options;
  result.options.insert(result.options.end(), own.options.begin(), own.options.end());
  return result;
}

Resources brief_task(const Resources& others) {
  Resources brief;
  brief.tasks = 1;
  brief.time = "10";
  brief.partition = others.partition;
  brief.account = others.account;
  brief.qos = others.qos;
  brief.constraint = others.constraint;
  brief.options = others.options;
  return brief;
}

int64_t seconds_of(const std::string& time, const std::string& where) {
  if (time.empty() || time == "UNLIMITED") return 0;
  const auto refuse = [&]() -> int64_t {
    throw UsageError(where + " is '" + time +
                     "', which sbatch does not read as a time; write minutes (90), "
                     "hours:minutes:seconds (24:00:00) or days-hours (2-12)");
  };
  const size_t dash = time.find('-');
  const auto days = dash == std::string::npos ? 0 : whole_number(time.substr(0, dash)).value_or(-1);
  const auto p = parts(dash == std::string::npos ? time : time.substr(dash + 1));
  if (days < 0 || p.empty() || p.size() > 3) return refuse();
  if (dash != std::string::npos)  // days-hours[:minutes[:seconds]]
    return days * 86400 + p[0] * 3600 + (p.size() > 1 ? p[1] * 60 : 0) + (p.size() > 2 ? p[2] : 0);
  if (p.size() == 3) return p[0] * 3600 + p[1] * 60 + p[2];
  return p[0] * 60 + (p.size() > 1 ? p[1] : 0);  // minutes[:seconds]
}

}  // namespace stylescope
