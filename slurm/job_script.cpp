#include "slurm/job_script.hpp"

#include "io/base/error.hpp"
#include "slurm/job_book.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

using detail::concatenate;
using Words = std::vector<std::string>;

constexpr const char* kAlphabet =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";

std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + shell_word(word);
  return text;
}

void append(Words& words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
}

// In a line of #SBATCH a % begins a pattern, and blanks end the word.
std::string directive_path(const std::string& path) {
  std::string text;
  for (const char c : path) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text.find_first_of(" '") == std::string::npos ? text : '"' + text + '"';
}

// NAME=VALUE; ${...} in the value means what it means to the shell.
std::string exported(const std::string& assignment) {
  const auto at = assignment.find('=');
  std::string value;
  for (const char c : assignment.substr(at + 1)) {
    if (c == '"' || c == '\\' || c == '`') value += '\\';
    value += c;
  }
  return "export " + assignment.substr(0, at) + "=\"" + value + "\"\n";
}

class Writer {
 public:
  Writer(const JobScript& job, const SiteProfile& site)
      : job_(job), site_(site), files_(job.run_dir) {}

  std::string text() {
    head();
    options();
    if (is_call()) {
      place();
      call();
      return text_;
    }
    signals();
    place();
    commands();
    answers();
    if (job_.shares > 0) share();
    begin();
    step();
    end();
    return text_;
  }

 private:
  bool array() const { return job_.shares > 0; }
  bool is_call() const { return !job_.words.empty(); }
  bool requeues() const { return site_.restart == "requeue" && !is_call(); }

  void head() {
    text_ += "#!/bin/bash\n";
    if (is_call())
      text_ += concatenate("# ", job_.stage, " of ", job_.run_name, ", written by stylescope.\n");
    else
      text_ += concatenate("# Stage ", job_.stage, " of run ", job_.run_name,
                           array() ? ", a share of it in each task of an array" : "",
                           ", written by stylescope submit.\n");
    text_ += "# By hand: sbatch " + files_.script(job_name(job_)).string() + "\n";
  }

  void option(const std::string& name, const std::string& value) {
    if (!value.empty()) text_ += "#SBATCH --" + name + "=" + value + "\n";
  }
  void option(const std::string& name, int64_t value) {
    if (value > 0) option(name, std::to_string(value));
  }

  void options() {
    const auto& r = job_.resources;
    option("job-name", job_.run_name + "." + job_name(job_));
    option("output", directive_path(files_.output(job_name(job_)).string()));
    text_ += "#SBATCH --open-mode=append\n";
    option("nodes", std::max<int64_t>(r.nodes, r.tasks > 0 ? 0 : 1));
    if (r.tasks_per_node > 0 && r.tasks == 0)
      option("ntasks-per-node", r.tasks_per_node);
    else
      option("ntasks", r.rank_count());
    if (r.tasks > 0) option("ntasks-per-node", r.tasks_per_node);
    option("cpus-per-task", r.cpus_per_task);
    option("gpus-per-node", r.gpus_per_node);
    option("gpus-per-task", r.gpus_per_task);
    option("mem", r.memory);
    option("time", r.time);
    option("partition", r.partition);
    option("account", r.account);
    option("qos", r.qos);
    option("constraint", r.constraint);
    for (const auto& extra : r.options) text_ += "#SBATCH " + extra + "\n";
    text_ += requeues() ? "#SBATCH --requeue\n" : "#SBATCH --no-requeue\n";
    text_ += "#SBATCH --kill-on-invalid-dep=yes\n";
    if (is_call()) return;
    text_ +=
        "# To this shell, so long before the time limit: time for a checkpoint and for what comes "
        "after it.\n";
    option("signal", concatenate("B:USR1@", std::llround(job_.signal_seconds)));
  }

  void signals() {
    text_ +=
        "\n# Slurm says USR1 to this shell ahead of the time limit, and SIGTERM when it ends the "
        "job "
        "(preemption, scancel).\n"
        "stop=0 limit=0 ended=0\n"
        "trap 'stop=1 limit=1' USR1\n"
        "trap 'ended=1' TERM\n"
        "share=\n";
  }

  void place() {
    text_ += "\ncd " + shell_word(job_.work_dir.string()) + " || exit 1\n";
    if (site_.setup.empty() && site_.modules.empty() && site_.environment.empty()) return;
    text_ += "\n# The cluster: " + (site_.name.empty() ? "site" : site_.name) + ".\n";
    for (const auto& line : site_.setup) text_ += line + "\n";
    for (const auto& module : site_.modules) text_ += "module load " + shell_word(module) + "\n";
    for (const auto& assignment : site_.environment) text_ += exported(assignment);
  }

  Words apptainer() const {
    Words words{"apptainer", "exec"};
    if (job_.resources.gpu_count() > 0) words.push_back("--nv");
    append(words, {"--bind", job_.work_dir.string(), "--bind", job_.run_dir.string()});
    for (const auto& mount : site_.mounts) append(words, {"--bind", mount});
    append(words, site_.container_options);
    append(words, {"--pwd", job_.work_dir.string(), site_.image});
    return words;
  }

  Words pyxis() const {
    std::string mounts;
    Words places{job_.work_dir.string(), job_.run_dir.string()};
    append(places, site_.mounts);
    for (const auto& place : places) {
      const bool whole = place.find(':') != std::string::npos;
      mounts += (mounts.empty() ? "" : ",") + (whole ? place : place + ":" + place);
    }
    Words words{"--container-image=" + site_.image, "--container-mounts=" + mounts,
                "--container-workdir=" + job_.work_dir.string()};
    append(words, site_.container_options);
    return words;
  }

  std::string program() const {
    if (!site_.program.empty()) return site_.program;
    return site_.container == "none" ? job_.program.string() : "stylescope";
  }

  // The program as one process, on this host.
  Words alone() const {
    Words words;
    if (site_.container == "apptainer") words = apptainer();
    if (site_.container == "pyxis") {
      words = {"srun", "--nodes=1", "--ntasks=1", "--mpi=none"};
      append(words, pyxis());
    }
    words.push_back(program());
    return words;
  }

  // The program as all ranks.
  Words everywhere() const {
    const auto& r = job_.resources;
    Words words;
    if (site_.launcher == "srun") {
      words = {"srun", "--mpi=" + site_.mpi, "--kill-on-bad-exit=1"};
      if (r.cpus_per_task > 0)
        words.push_back("--cpus-per-task=" + std::to_string(r.cpus_per_task));
      if (!site_.cpu_bind.empty()) words.push_back("--cpu-bind=" + site_.cpu_bind);
      if (!site_.gpu_bind.empty() && r.gpu_count() > 0)
        words.push_back("--gpu-bind=" + site_.gpu_bind);
      if (site_.container == "pyxis") append(words, pyxis());
    } else {
      words = {"mpirun", "-n", std::to_string(r.rank_count())};
    }
    append(words, site_.launcher_options);
    if (site_.container == "apptainer") append(words, apptainer());
    words.push_back(program());
    return words;
  }

  void call() {
    auto words = job_.by_all ? everywhere() : alone();
    append(words, job_.words);
    text_ += "\n" + joined(words) + "\n";
  }

  void commands() {
    text_ += "\nrun=" + shell_word(job_.run_dir.string()) + "\n";
    text_ += "stage=" + shell_word(job_.stage) + "\n";
    text_ += "# One process on this host, and the ranks on all.\n";
    text_ += "alone=(" + joined(alone()) + ")\n";
    text_ += "ranks=(" + joined(everywhere()) + ")\n";
    text_ += "task=()\n";
  }

  // Array tasks are numbered from 0 over all arrays of the stage, which MaxArraySize may cut.
  void share() {
    text_ += concatenate(
        "\nshare=$((${STYLESCOPE_FIRST_SHARE:-0} + ${SLURM_ARRAY_TASK_ID:-0}))\n"
        "task=(--task \"$share/",
        job_.shares, "\")\n", "exec >>\"$run/slurm/$stage.$share.log\" 2>&1\n");
  }

  void answers() {
    text_ +=
        "\n# The run directory knows how a session ended, and what follows: an exit code does "
        "not.\n"
        "ask() {\n"
        "  local unfit\n"
        "  unfit=$(sinfo --noheader --Node --states=down,drained,draining,fail,failing,no_respond "
        "--format=%N 2>/dev/null |\n"
        "    sort -u | paste -sd,)\n"
        "  \"${alone[@]}\" job \"$1\" \"$run\" \"$stage\" \"${task[@]}\" --unfit \"$unfit\" "
        "\"${@:2}\"\n"
        "}\n\n";
    if (requeues())
      text_ +=
          "# Goes on as the same job, not on nodes that failed twice. Requeueing ends this script "
          "too: it must not mind.\n"
          "restart() {\n"
          "  [[ -n ${SLURM_JOB_ID:-} ]] || exit 75\n"
          "  # A job that Slurm ends comes back by Slurm, or is not meant to.\n"
          "  ((ended && !limit)) && exit 75\n"
          "  trap '' TERM\n"
          "  scontrol requeue \"$SLURM_JOB_ID\" || exit 75\n"
          "  if [[ -n ${1:-} ]]; then\n"
          "    for try in 1 2 3; do\n"
          "      scontrol update \"JobId=$SLURM_JOB_ID\" \"ExcNodeList=$1\" && break\n"
          "      sleep 1\n"
          "    done\n"
          "  fi\n"
          "  exit 75\n"
          "}\n";
    else
      text_ +=
          "# A job that was submitted ahead goes on when this one fails.\n"
          "restart() { exit 75; }\n";
  }

  void begin() {
    text_ +=
        "\nread -r answer nodes < <(ask begin)\n"
        "case $answer in\n"
        "  go) ;;\n"
        "  done) exit 0 ;;\n";
    text_ += requeues() ? "  restart) restart \"$nodes\" ;;\n" : "  restart) ;;\n";
    text_ +=
        "  *) exit 1 ;;\n"
        "esac\n"
        "((stop)) && restart\n";
  }

  void step() {
    text_ +=
        "\n\"${ranks[@]}\" run \"$run/slurm/config.yaml\" --only \"$stage\" \"${task[@]}\" &\n"
        "step=$!\n";
    text_ += site_.launcher == "srun"
                 ? "# srun hands USR1 to its ranks, which write a checkpoint and leave; SIGTERM "
                   "they get from Slurm itself.\n"
                 : "# mpirun hands USR1 to its ranks, which write a checkpoint and leave. After "
                   "SIGTERM it kills them within a\n# second: then the last checkpoint counts.\n";
    text_ +=
        "# Not before they listen: until then it would kill them.\n"
        "hand_on() {\n"
        "  stop=1 limit=1\n"
        "  grep -q '\"running\"' \"$run/.$stage${share:+.task-$share}.outcome.json\" 2>/dev/null "
        "&&\n"
        "    kill -USR1 \"$step\" && stop=0\n"
        "}\n"
        "trap hand_on USR1\n"
        "code=\n"
        "while kill -0 \"$step\" 2>/dev/null; do\n"
        "  if ((stop)); then\n"
        "    sleep 1\n"
        "    hand_on\n"
        "  else\n"
        "    wait \"$step\"\n"
        "    code=$?\n"
        "  fi\n"
        "done\n"
        "[[ -n $code ]] || { wait \"$step\"; code=$?; }\n";
  }

  void end() {
    text_ +=
        "\nread -r answer nodes < <(ask end --exit \"$code\")\n"
        "case $answer in\n"
        "  done) exit 0 ;;\n"
        "  restart) restart \"$nodes\" ;;\n"
        "  *) exit 1 ;;\n"
        "esac\n";
  }

  const JobScript& job_;
  const SiteProfile& site_;
  SlurmFiles files_;
  std::string text_;
};

}  // namespace

std::string job_name(const JobScript& job) { return job.stage + (job.shares > 0 ? "-shares" : ""); }

std::string job_script(const JobScript& job, const SiteProfile& site) {
  return Writer(job, site).text();
}

std::string shell_word(const std::string& text) {
  if (!text.empty() && text.find_first_not_of(kAlphabet) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace stylescope
