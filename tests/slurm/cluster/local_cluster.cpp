#include "tests/slurm/cluster/local_cluster.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <pwd.h>
#include <random>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope::testing_support {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The daemons' folder is in nobody's PATH but root's.
std::string search_path() {
  const char* own = std::getenv("PATH");
  return std::string(own ? own : "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin";
}

bool installed(const std::string& program) {
  std::istringstream folders(search_path());
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

// Listening ports that are free now, below those that the system gives out by itself.
std::vector<int> free_ports(size_t count) {
  static std::mt19937 draw{std::random_device{}()};
  std::vector<int> ports, sockets;
  while (ports.size() < count) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const auto port = static_cast<uint16_t>(12000 + draw() % 20000);
    address.sin_port = htons(port);
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockets.push_back(socket);
    // All are held until the last is found: none is found twice.
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      ports.push_back(port);
  }
  for (const int socket : sockets) ::close(socket);
  return ports;
}

std::string short_host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  const std::string full = name;
  return full.substr(0, full.find('.'));
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry ? entry->pw_name : std::to_string(::geteuid());
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    const auto begin = part.find_first_not_of(' ');
    const auto end = part.find_last_not_of(' ');
    parts.push_back(begin == std::string::npos ? "" : part.substr(begin, end - begin + 1));
  }
  return parts;
}

int64_t number_or(const std::string& text, int64_t otherwise) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::stoll(text) : otherwise;
}

std::string last_lines(const fs::path& file, size_t bytes) {
  std::ifstream stream(file);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  return file.filename().string() + ":\n" +
         text.substr(text.size() > bytes ? text.size() - bytes : 0) + "\n";
}

std::string text_of(const std::vector<QueueRow>& rows) {
  std::string text;
  for (const auto& row : rows)
    text += "\n" + std::to_string(row.job) + (row.task < 0 ? "" : "_" + std::to_string(row.task)) +
            " " + row.name + " " + row.state + " (" + row.reason + ") on '" + row.nodes +
            "', restarts " + std::to_string(row.restarts);
  return text.empty() ? "\n(no job)" : text;
}

}  // namespace

bool QueueRow::ended() const {
  static const std::vector<std::string> alive{
      "PENDING", "CONFIGURING", "RUNNING",      "COMPLETING", "REQUEUED",
      "STOPPED", "SUSPENDED",   "REQUEUE_HOLD", "SIGNALING",  "STAGE_OUT"};
  return std::ranges::find(alive, state) == alive.end();
}

std::string LocalCluster::obstacle() {
  for (const char* program :
       {"munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo"})
    if (!installed(program))
      return std::string("there is no ") + program +
             " here (Debian's packages slurm-wlm and munge bring it)";
  if (::geteuid() != 0) return "slurmd starts jobs only as root";
  return "";
}

LocalCluster::LocalCluster(const ClusterShape& shape) : nodes_(shape.nodes) {
  for (const char* name : {"state", "munge", "tmp"}) fs::create_directories(folder() / name);
  fs::permissions(folder(), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  std::ofstream(folder() / "munge/key") << std::string(64, 'k') << std::random_device{}();
  fs::permissions(folder() / "munge/key", fs::perms::owner_read);
  const std::string munge = (folder() / "munge").string();
  start("munged", {"munged", "--foreground", "--force", "--socket=" + munge + "/socket",
                   "--key-file=" + munge + "/key", "--pid-file=" + munge + "/pid",
                   "--log-file=" + munge + "/log", "--seed-file=" + munge + "/seed"});
  const auto answers = [&] { return run({"munge", "--socket=" + munge + "/socket", "-n"}); };
  for (const auto end = Clock::now() + 10s; answers().code != 0; std::this_thread::sleep_for(20ms))
    if (Clock::now() > end)
      throw std::runtime_error("munged does not start:\n" +
                               last_lines(folder() / "munged.out", 2000));
  write_configuration(shape);
  start("slurmctld", {"slurmctld", "-D", "-i", "-f", (folder() / "slurm.conf").string()});
  for (const auto& node : nodes()) {
    for (const char* kind : {"spool.", "tmp."}) fs::create_directories(folder() / (kind + node));
    start(node, {"slurmd", "-D", "-N", node, "-f", (folder() / "slurm.conf").string()});
  }
  await_nodes(nodes_, "idle");
}

LocalCluster::~LocalCluster() {
  for (auto& [name, daemon] : daemons_) daemon->let_go();  // all at once
}

std::vector<std::string> LocalCluster::nodes() const {
  std::vector<std::string> names;
  for (int i = 1; i <= nodes_; ++i) names.push_back("n" + std::to_string(i));
  return names;
}

void LocalCluster::write_configuration(const ClusterShape& shape) const {
  const std::string at = folder().string(), host = short_host_name(), user = user_name();
  const auto ports = free_ports(static_cast<size_t>(nodes_) + 1);
  std::ofstream file(folder() / "slurm.conf");
  file << "ClusterName=stylescope\nSlurmctldHost=" << host
       << "(127.0.0.1)\nSlurmctldPort=" << ports.back() << "\nSlurmUser=" << user
       << "\nSlurmdUser=" << user
       << "\nAuthType=auth/munge\nCredType=cred/munge\n"
       // A requeued job waits until the credential of its last start is worth nothing any more.
       // One that is worth nothing before its nodes come to it fails: a busy machine needs seconds.
       << "AuthInfo=socket=" << at << "/munge/socket,cred_expire=12\n"
       << "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\n"
       << "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\n"
       << "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n"
       << "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n"
       << "ReturnToService=2\nJobRequeue=1\nSlurmdTimeout=10\nMessageTimeout=10\nKillWait=2\n"
       << "UnkillableStepTimeout=20\nMinJobAge=3600\nMaxArraySize=" << shape.max_array_size
       << "\nSchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1\n"
       // What is written below about the nodes counts, whatever the machine has.
       << "SlurmdParameters=config_overrides\n"
       // The plugin for PMIx keeps a socket of each job there: nodes must not share the folder.
       << "TmpFS=" << at << "/tmp.%n\n"
       << "StateSaveLocation=" << at << "/state\nSlurmdSpoolDir=" << at << "/spool.%n\n"
       << "SlurmctldLogFile=" << at << "/slurmctld.log\nSlurmdLogFile=" << at << "/slurmd.%n.log\n"
       << "SlurmctldPidFile=" << at << "/slurmctld.pid\nSlurmdPidFile=" << at << "/slurmd.%n.pid\n";
  for (int i = 0; i < nodes_; ++i)
    file << "NodeName=n" << i + 1 << " NodeHostname=" << host
         << " NodeAddr=127.0.0.1 Port=" << ports[static_cast<size_t>(i)] << " CPUs=" << shape.cpus
         << " RealMemory=500 State=UNKNOWN\n";
  file << "PartitionName=main Nodes=ALL Default=YES State=UP PriorityTier=1\n"
       << "PartitionName=urgent Nodes=ALL State=UP PriorityTier=10 PreemptMode=OFF\n";
}

void LocalCluster::start(const std::string& name, const Words& words) {
  const fs::path log = folder() / (name + ".out");
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  daemons_[name] = std::make_unique<KeptCommand>(
      words, clean_environment({{"PATH", search_path()}}), folder(), out, out);
  ::close(out);
}

CommandOutcome LocalCluster::run(const Words& words, const Environment& environment,
                                 const fs::path& working) const {
  Environment all{{"SLURM_CONF", (folder() / "slurm.conf").string()},
                  {"PATH", search_path()},
                  // Jobs inherit it: what killed ones leave there goes with the cluster.
                  {"TMPDIR", (folder() / "tmp").string()}};
  for (const auto& [name, value] : environment) all[name] = value;
  return run_command(words, clean_environment(all), working.empty() ? folder() : working, 1min);
}

std::string LocalCluster::ask(const Words& words, const Environment& environment) const {
  const auto outcome = run(words, environment);
  if (outcome.code != 0)
    throw std::runtime_error(words[0] + " ended with " + std::to_string(outcome.code) + ": " +
                             outcome.err);
  return outcome.out.substr(0, outcome.out.find_last_not_of('\n') + 1);
}

std::vector<QueueRow> LocalCluster::queue() const {
  const auto text = ask({"squeue", "--noheader", "--array", "--states=all",
                         "--Format=ArrayJobID:|,ArrayTaskID:|,Name:|,State:|,Reason:|,NodeList:|,"
                         "Partition:|,RestartCnt:|"});
  std::vector<QueueRow> rows;
  for (const auto& line : split(text, '\n')) {
    const auto parts = split(line, '|');
    if (parts.size() < 8) throw std::runtime_error("squeue said: " + line);
    rows.push_back({number_or(parts[0], 0), number_or(parts[1], -1), parts[2], parts[3], parts[4],
                    parts[5], parts[6], number_or(parts[7], 0)});
  }
  return rows;
}

void LocalCluster::wait_until(
    const std::string& what, std::chrono::seconds deadline,
    const std::function<bool(const std::vector<QueueRow>&)>& holds) const {
  for (const auto end = Clock::now() + deadline;; std::this_thread::sleep_for(100ms)) {
    const auto rows = queue();
    if (holds(rows)) return;
    if (Clock::now() > end)
      throw std::runtime_error("after " + std::to_string(deadline.count()) + " s still not: " +
                               what + "; squeue says:" + text_of(rows) + "\n" + logs());
  }
}

void LocalCluster::wait_until_ended(int64_t job, std::chrono::seconds deadline) const {
  wait_until("job " + std::to_string(job) + " has ended", deadline, [&](const auto& rows) {
    return std::ranges::all_of(rows, [&](const auto& r) { return r.job != job || r.ended(); });
  });
}

void LocalCluster::kill_node(const std::string& node) { daemons_.erase(node); }

void LocalCluster::start_node(const std::string& node) {
  start(node, {"slurmd", "-D", "-N", node, "-f", (folder() / "slurm.conf").string()});
  for (const auto end = Clock::now() + 30s;; std::this_thread::sleep_for(100ms)) {
    if (ask({"sinfo", "-h", "-n", node, "-p", "main", "-o", "%T"}) == "idle") return;
    if (Clock::now() > end) throw std::runtime_error(node + " does not come back\n" + logs());
  }
}

void LocalCluster::await_nodes(int count, const std::string& state) const {
  for (const auto end = Clock::now() + 30s;; std::this_thread::sleep_for(50ms)) {
    const auto said = run({"sinfo", "-h", "-p", "main", "-t", state, "-o", "%D"});
    if (number_or(said.out.substr(0, said.out.find('\n')), 0) == count) return;
    if (Clock::now() > end)
      throw std::runtime_error("the nodes do not come up: " + said.out + said.err + "\n" + logs());
  }
}

std::vector<pid_t> LocalCluster::processes(const std::string& node) const {
  const auto daemon = daemons_.find(node);
  if (daemon == daemons_.end()) return {};
  return daemon->second->processes();
}

std::string LocalCluster::logs() const {
  std::string text = last_lines(folder() / "slurmctld.log", 3000);
  if (!fs::exists(folder() / "slurmctld.log")) text = last_lines(folder() / "slurmctld.out", 3000);
  for (const auto& node : nodes()) text += last_lines(folder() / ("slurmd." + node + ".log"), 500);
  return text;
}

}  // namespace stylescope::testing_support
