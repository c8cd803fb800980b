#include "distributed/nccl_communicator.hpp"

#include "distributed/host.hpp"
#include "distributed/monitor.hpp"
#include "distributed/nccl_channel.hpp"
#include "distributed/run_collective.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <exception>

namespace stylescope {
namespace {

// What a rank enters, as three numbers that all ranks exchange: the fingerprint decides, the others
// say what it was.
constexpr int64_t kRecord = 3;

torch::Tensor record_of(const Collective& call, uint64_t sequence) {
  auto record = torch::empty({kRecord}, torch::kInt64);
  auto* numbers = record.data_ptr<int64_t>();
  numbers[0] = static_cast<int64_t>(fingerprint(call, sequence));
  numbers[1] = static_cast<int64_t>(call.kind) | static_cast<int64_t>(call.op) << 8 |
               static_cast<int64_t>(call.input.scalar_type()) << 16 |
               static_cast<int64_t>(call.root) << 32;
  numbers[2] = call.input.numel();
  return record;
}

std::string text_of(const int64_t* record) {
  const int64_t call = record[1];
  return describe(static_cast<Collective::Kind>(call & 0xff),
                  static_cast<ReduceOp>(call >> 8 & 0xff), static_cast<int>(call >> 32),
                  static_cast<torch::ScalarType>(call >> 16 & 0xff), record[2]);
}

class NcclCommunicator final : public Communicator {
 public:
  // `own_host`: of a part of the world, whose host's communicator nobody else keeps.
  NcclCommunicator(std::unique_ptr<Communicator> own_host, Communicator& host,
                   const GpuFunctions& gpu, int device, const NcclOptions& options);
  ~NcclCommunicator() override {
    // Together, or a rank that comes late would find the others gone.
    if (!channel_->failed() && std::uncaught_exceptions() == 0) {
      try {
        host_.barrier();
      } catch (const std::exception&) {
      }
    }
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  const char* backend() const override { return "nccl"; }

  std::unique_ptr<Communicator> split(int color) override {
    auto part = host_.split(color);
    auto& host = *part;
    return std::make_unique<NcclCommunicator>(std::move(part), host, gpu_, device_, options_);
  }
  void doing(const char* activity, int64_t step) override { host_.doing(activity, step); }
  void long_work(bool begins) override { host_.long_work(begins); }
  void set_deadlines(const Deadlines& deadlines) override {
    options_.deadlines = deadlines;
    channel_->set_deadline(deadlines.collective);
    host_.set_deadlines(deadlines);
  }
  [[noreturn]] void abort(int exit_code, const std::string& cause) override {
    host_.abort(exit_code, cause);
  }

 protected:
  void run(const Collective& call) override;
  std::unique_ptr<Work> start(const Collective& call) override;

 private:
  friend class NcclWork;

  bool by_host(const Collective& call) const {
    return !call.input.defined() || !gpu_.is_device_memory(call.input);
  }
  std::string numbered(const Collective& call) const {
    return "#" + std::to_string(sequence_) + " " + describe(call);
  }
  void enqueue(const Collective& call, const std::shared_ptr<GpuOperation>& operation);
  void compare(const torch::Tensor& records, uint64_t sequence);

  const std::unique_ptr<Communicator> own_host_;
  Communicator& host_;
  const GpuFunctions& gpu_;
  const int device_;
  NcclOptions options_;
  std::vector<std::string> host_names_;
  uint64_t sequence_ = 0;
  std::unique_ptr<NcclChannel> channel_;
};

// What host and NCCL need in common before NCCL can begin.
GpuFunctions::UniqueId agree_on_id(Communicator& host, const GpuFunctions& gpu, int device,
                                   const std::vector<std::string>& host_names) {
  // A rank that cannot use its GPU says so before the others wait for it.
  GpuFunctions::UniqueId id{};
  std::string problem;
  try {
    gpu.set_device(device);
    if (host.is_root()) id = gpu.unique_id();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  const auto problems = host.all_gather(problem);
  for (size_t r = 0; r < problems.size(); ++r)
    validate(problems[r].empty(), "rank ", r, " on ", host_names[r],
             " cannot use its GPU: ", problems[r]);
  auto bytes = torch::empty({static_cast<int64_t>(id.size())}, torch::kUInt8);
  std::copy(id.begin(), id.end(), bytes.data_ptr<uint8_t>());
  host.broadcast(bytes, 0);
  std::copy_n(bytes.data_ptr<uint8_t>(), id.size(), id.begin());
  return id;
}

NcclCommunicator::NcclCommunicator(std::unique_ptr<Communicator> own_host, Communicator& host,
                                   const GpuFunctions& gpu, int device, const NcclOptions& options)
    : own_host_(std::move(own_host)),
      host_(host),
      gpu_(gpu),
      device_(device),
      options_(options),
      host_names_(host.all_gather(host_name())) {
  const auto id = agree_on_id(host_, gpu_, device_, host_names_);
  channel_ = std::make_unique<NcclChannel>(
      gpu_, device_, host_.rank(), host_.size(), id, options_.init_seconds,
      options_.deadlines.collective,
      [this](const std::string& cause) { host_.abort(static_cast<int>(ExitCode::failed), cause); });
}

void NcclCommunicator::compare(const torch::Tensor& records, uint64_t sequence) {
  const auto* all = records.const_data_ptr<int64_t>();
  bool same = true;
  for (int r = 1; r < size(); ++r) same = same && all[r * kRecord] == all[0];
  if (same) return;
  std::vector<std::string> texts;
  texts.reserve(host_names_.size());
  for (int r = 0; r < size(); ++r) texts.push_back(text_of(all + r * kRecord));
  channel_->fail(disagreement(texts, sequence, host_names_));
}

void NcclCommunicator::enqueue(const Collective& call,
                               const std::shared_ptr<GpuOperation>& operation) {
  channel_->start(operation, [&](GpuFunctions::Comm comm, GpuFunctions::Stream stream) {
    const void* input = call.input.const_data_ptr();
    void* output = call.output.data_ptr();
    const auto count = static_cast<size_t>(call.input.numel());
    const auto dtype = call.input.scalar_type();
    if (count == 0) return;
    switch (call.kind) {
      case Collective::Kind::barrier:
        break;
      case Collective::Kind::all_reduce:
        return gpu_.all_reduce(input, output, count, dtype, call.op, comm, stream);
      case Collective::Kind::broadcast:
        return gpu_.broadcast(input, output, count, dtype, call.root, comm, stream);
      case Collective::Kind::all_gather:
        return gpu_.all_gather(input, output, count, dtype, comm, stream);
      case Collective::Kind::reduce_scatter:
        return gpu_.reduce_scatter(input, output, static_cast<size_t>(call.output.numel()), dtype,
                                   call.op, comm, stream);
    }
  });
}

// A collective of NCCL under way.
class NcclWork final : public Work {
 public:
  NcclWork(NcclCommunicator& world, const Collective& call)
      : world_(world), call_(call), sequence_(++world.sequence_) {
    world.channel_->settle();
    records_ = torch::empty({world.size(), kRecord}, torch::kInt64);
    // The comparison goes first: where ranks differ, NCCL may never come back.
    operation_ = world.channel_->prepare(
        world.numbered(call), world.host_.all_gather_async(records_, record_of(call, sequence_)));
    world.enqueue(call, operation_);
  }
  ~NcclWork() override {
    try {
      if (!compared_) wait();
    } catch (const std::exception&) {
      // Said by whoever waits, or by the next call: the communicator has failed for good.
    }
  }
  NcclWork(const NcclWork&) = delete;
  NcclWork& operator=(const NcclWork&) = delete;

  void wait() override {
    world_.channel_->settle();
    if (!compared_) {
      operation_->check()->wait();
      world_.compare(records_, sequence_);
      compared_ = true;
    }
    world_.channel_->order_compute_after(*operation_);
  }
  bool done() override { return world_.channel_->finished(*operation_); }
  // On the GPU, from the start of this rank's part: where ranks start at different times, that of
  // the last one is the transfer's.
  double seconds() const override { return world_.channel_->seconds(*operation_); }

 private:
  NcclCommunicator& world_;
  Collective call_;  // keeps the tensors
  uint64_t sequence_;
  torch::Tensor records_;
  std::shared_ptr<GpuOperation> operation_;
  bool compared_ = false;
};

std::unique_ptr<Work> NcclCommunicator::start(const Collective& call) {
  if (by_host(call)) return start_collective(host_, call);
  return std::make_unique<NcclWork>(*this, call);
}

void NcclCommunicator::run(const Collective& call) {
  if (by_host(call)) return run_collective(host_, call);
  // Compared at full speed, before NCCL sees it.
  channel_->settle();
  const auto sequence = ++sequence_;
  auto records = torch::empty({size(), kRecord}, torch::kInt64);
  host_.all_gather(records, record_of(call, sequence));
  compare(records, sequence);
  const auto operation = channel_->prepare(numbered(call), nullptr);
  enqueue(call, operation);
  channel_->order_compute_after(*operation);
}

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(Communicator& host, const GpuFunctions& gpu,
                                                     int device, NcclOptions options) {
  return std::make_unique<NcclCommunicator>(nullptr, host, gpu, device, options);
}

}  // namespace stylescope
