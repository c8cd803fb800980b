#include "distributed/fault_injection.hpp"
#include "distributed/flight_record.hpp"
#include "distributed/host.hpp"
#include "distributed/mpi_session.hpp"
#include "distributed/mpi_transfer.hpp"
#include "distributed/serial_worker.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

namespace stylescope {
namespace {

using Clock = std::chrono::steady_clock;

// What the communicators of one process share.
struct Process {
  explicit Process(int rank) : faults(rank) {
#if defined(MPIX_CUDA_AWARE_SUPPORT) && MPIX_CUDA_AWARE_SUPPORT
    cuda_aware = MPIX_Query_cuda_support() == 1;
#endif
  }
  FaultInjection faults;
  FlightRecord record;
  MpiTransfer transfer;
  std::unique_ptr<Monitor> monitor;  // none in a world of one
  bool cuda_aware = false;           // MPI takes pointers to a GPU's memory
  SerialWorker worker;  // runs what was started asynchronously; the last member: it ends first
};

// How a rank waits for the others to enter a collective: at full speed, or leaving its core to
// others and looking again after naps that grow to this.
constexpr auto kSpin = std::chrono::microseconds(0);
constexpr auto kNap = std::chrono::microseconds(200);
constexpr auto kLongNap = std::chrono::microseconds(5000);

class MpiCommunicator final : public Communicator {
 public:
  // Takes over `comm`.
  MpiCommunicator(MPI_Comm comm, std::shared_ptr<Process> process, bool whole_world)
      : data_(comm), process_(std::move(process)), whole_world_(whole_world) {
    // Checks and data keep apart: what one rank takes for a check never meets another's data.
    check_mpi(MPI_Comm_dup(comm, &control_), "MPI_Comm_dup");
    for (const MPI_Comm mine : {data_, control_}) MPI_Comm_set_errhandler(mine, MPI_ERRORS_RETURN);
    MPI_Comm_rank(data_, &rank_);
    MPI_Comm_size(data_, &size_);
  }
  ~MpiCommunicator() override {
    process_->worker.drain();
    MPI_Comm_free(&control_);
    MPI_Comm_free(&data_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const char* backend() const override { return "mpi"; }

  std::unique_ptr<Communicator> split(int color) override {
    SS_CHECK(color >= 0, color);
    barrier();
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(data_, color, rank_, &part), "MPI_Comm_split");
    return std::make_unique<MpiCommunicator>(part, process_, false);
  }

  void long_work(bool begins) override { process_->record.long_work(begins); }
  void doing(const char* activity, int64_t step) override {
    process_->record.doing(activity, step);
  }
  void set_deadlines(const Deadlines& deadlines) override {
    if (process_->monitor) process_->monitor->set_deadlines(deadlines);
  }
  [[noreturn]] void abort(int exit_code, const std::string& cause) override {
    if (process_->monitor) process_->monitor->fail(exit_code, cause);
    std::fprintf(stderr, "error: %s\n", cause.c_str());
    std::_Exit(exit_code);
  }

 protected:
  void run(const Collective& call) override {
    process_->worker.drain();
    const Collective staged = stage(call);
    perform(staged, call.kind == Collective::Kind::barrier ? kLongNap : kSpin);
    deliver(staged, call);
  }

  std::unique_ptr<Work> start(const Collective& call) override;

 private:
  friend class MpiWork;

  // MPI works on host memory, unless it says that it does not: a tensor elsewhere goes through a
  // copy.
  Collective stage(const Collective& call) const {
    Collective staged = call;
    if (!call.input.defined() || call.input.device().is_cpu()) return staged;
    // The sum of bfloat16 is ours, and runs on the host.
    const bool sums_here = call.input.scalar_type() == torch::kBFloat16;
    if (process_->cuda_aware && !sums_here) {
      torch::cuda::synchronize(call.input.device().index());
      return staged;
    }
    const bool in_place = call.input.is_same(call.output);
    staged.input = call.input.to(torch::kCPU);
    staged.output = in_place
                        ? staged.input
                        : torch::empty_like(call.output, call.output.options().device(torch::kCPU));
    return staged;
  }

  static void deliver(const Collective& staged, const Collective& call) {
    if (staged.output.is_same(call.output)) return;
    const torch::NoGradGuard no_grad;
    auto output = call.output;
    output.copy_(staged.output);
  }

  // Enters, waits until all have, moves. Returns the seconds that the moving took. After a failure
  // this rank is out of step with the others: it enters nothing more.
  double perform(const Collective& call, std::chrono::microseconds nap) {
    struct Inside {
      FlightRecord& record;
      ~Inside() { record.leave(); }
    };
    validate(!broken_, "an earlier collective of this rank has failed");
    broken_ = true;
    const uint64_t sequence = ++sequence_;
    const int64_t pretended = whole_world_ ? process_->faults.at(process_->record) : 0;
    process_->record.enter(call, sequence, size_);
    const Inside inside{process_->record};
    agree(call, sequence, pretended, nap);
    const auto begin = Clock::now();
    process_->transfer.run(call, data_);
    broken_ = false;
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  // All ranks are here, with the same operation, or all throw. A bit of the conjunction of f and of
  // the conjunction of ~f is set in neither where ranks differ.
  void agree(const Collective& call, uint64_t sequence, int64_t pretended,
             std::chrono::microseconds nap) {
    const uint64_t mine = fingerprint(call, sequence) + static_cast<uint64_t>(pretended);
    uint64_t both[2] = {mine, ~mine};
    if (nap == kSpin) {
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, both, 2, MPI_UINT64_T, MPI_BAND, control_),
                "MPI_Allreduce");
    } else {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Iallreduce(MPI_IN_PLACE, both, 2, MPI_UINT64_T, MPI_BAND, control_, &request),
                "MPI_Iallreduce");
      auto pause = std::min(nap, std::chrono::microseconds(20));
      for (int done = 0;;) {
        check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
        if (done) break;
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, nap);
      }
    }
    if ((both[0] | both[1]) != ~uint64_t{0}) disagree(call, sequence, pretended);
  }

  [[noreturn]] void disagree(const Collective& call, uint64_t sequence, int64_t pretended);
  std::vector<std::string> gather_short(std::string text);

  MPI_Comm data_ = MPI_COMM_NULL, control_ = MPI_COMM_NULL;
  std::shared_ptr<Process> process_;
  bool whole_world_;
  uint64_t sequence_ = 0;
  bool broken_ = false;
  int rank_ = 0;
  int size_ = 1;
};

void MpiCommunicator::disagree(const Collective& call, uint64_t sequence, int64_t pretended) {
  std::string text = describe(call);
  if (pretended != 0) text += " + " + std::to_string(pretended);
  throw Error(disagreement(gather_short(text), sequence, gather_short(host_name())));
}

// Every rank's text, cut where it is long. Collective.
std::vector<std::string> MpiCommunicator::gather_short(std::string text) {
  constexpr size_t kLength = 192;
  text.resize(kLength - 1);
  text.resize(kLength, '\0');
  std::vector<char> all(kLength * static_cast<size_t>(size_));
  check_mpi(MPI_Allgather(text.data(), kLength, MPI_CHAR, all.data(), kLength, MPI_CHAR, control_),
            "MPI_Allgather");
  std::vector<std::string> texts;
  for (int r = 0; r < size_; ++r) texts.emplace_back(all.data() + static_cast<size_t>(r) * kLength);
  return texts;
}

// A collective that the worker runs.
class MpiWork final : public Work {
 public:
  MpiWork(MpiCommunicator& world, const Collective& call)
      : call_(call), staged_(world.stage(call)), state_(std::make_shared<State>()) {
    world.process_->worker.post([&world, staged = staged_, state = state_] {
      std::exception_ptr failure;
      double seconds = 0;
      try {
        seconds = world.perform(staged, kNap);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(state->mutex);
      state->finished = true;
      state->failure = failure;
      state->seconds = seconds;
      state->changed.notify_all();
    });
  }
  ~MpiWork() override { finish(); }
  MpiWork(const MpiWork&) = delete;
  MpiWork& operator=(const MpiWork&) = delete;

  void wait() override {
    finish();
    if (state_->failure) std::rethrow_exception(state_->failure);
    if (!delivered_) MpiCommunicator::deliver(staged_, call_);
    delivered_ = true;
  }
  bool done() override {
    const std::lock_guard lock(state_->mutex);
    return state_->finished;
  }
  double seconds() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->seconds;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool finished = false;
    std::exception_ptr failure;
    double seconds = 0;
  };
  void finish() {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->finished; });
  }

  Collective call_, staged_;
  std::shared_ptr<State> state_;
  bool delivered_ = false;
};

std::unique_ptr<Work> MpiCommunicator::start(const Collective& call) {
  return std::make_unique<MpiWork>(*this, call);
}

std::string broadcast_text(std::string text) {
  uint64_t length = text.size();
  check_mpi(MPI_Bcast(&length, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD), "MPI_Bcast");
  text.resize(length);
  check_mpi(
      MPI_Bcast(text.data(), mpi_count(static_cast<int64_t>(length)), MPI_CHAR, 0, MPI_COMM_WORLD),
      "MPI_Bcast");
  return text;
}

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv, MonitorVoice voice) {
  int provided = 0;
  check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  validate(provided >= MPI_THREAD_SERIALIZED,
           "this MPI library cannot be called by one thread after another "
           "(MPI_THREAD_SERIALIZED); use a build of it with threads, as Debian's Open MPI is");
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  auto process = std::make_shared<Process>(rank);
  if (size > 1)
    process->monitor =
        std::make_unique<Monitor>(rank, size, process->record, broadcast_text, std::move(voice));
  // A communicator of our own: no message of a library that also uses MPI can meet ours.
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  world_ = std::make_unique<MpiCommunicator>(comm, std::move(process), true);
}

MpiSession::~MpiSession() {
  world_.reset();
  MPI_Finalize();
}

Communicator& MpiSession::world() { return *world_; }

std::string MpiSession::library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, static_cast<size_t>(length));
  return version.substr(0, version.find(','));
}

}  // namespace stylescope
