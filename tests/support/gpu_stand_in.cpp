#include "tests/support/gpu_stand_in.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

namespace stylescope::testing_support {
namespace {

using Progress = GpuFunctions::Progress;
using Kind = Collective::Kind;

template <class Mine, class Handle>
Mine* mine(Handle* handle) {
  return reinterpret_cast<Mine*>(handle);
}

template <class Handle, class Mine>
Handle handle(Mine* mine) {
  return reinterpret_cast<Handle>(mine);
}

torch::Tensor tensor_at(const char* data, size_t count, torch::ScalarType dtype) {
  return torch::from_blob(const_cast<char*>(data), {static_cast<int64_t>(count)}, dtype);
}

bool overlap(const char* a, size_t a_bytes, const char* b, size_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

constexpr int kPollsOfStart = 3, kPollsOfCall = 2;

}  // namespace

size_t GpuStandIn::Operation::input_bytes() const {
  const size_t parts =
      kind == Kind::reduce_scatter ? static_cast<size_t>(comm->ranks->size()) : size_t{1};
  return parts * count * torch::elementSize(dtype);
}

size_t GpuStandIn::Operation::output_bytes() const {
  const size_t parts =
      kind == Kind::all_gather ? static_cast<size_t>(comm->ranks->size()) : size_t{1};
  return parts * count * torch::elementSize(dtype);
}

GpuStandIn::GpuStandIn(Communicator& host)
    : host_(host.split(0)), memory_(std::make_shared<Memory>()) {
  functions_.library = "a stand-in for NCCL";
  streams_.push_back(std::make_unique<Stream>());
  streams_[0]->computes = true;
  fill_communicators();
  fill_collectives();
  fill_streams();
}

GpuStandIn::~GpuStandIn() = default;

torch::Tensor GpuStandIn::place(const torch::Tensor& tensor) {
  const auto source = tensor.contiguous();
  const size_t bytes = std::max<size_t>(source.nbytes(), 1);
  Block block{bytes, std::make_unique<char[]>(bytes)};
  char* first = block.memory.get();
  if (source.numel() > 0) std::memcpy(first, source.const_data_ptr(), source.nbytes());
  {
    const std::lock_guard lock(memory_->mutex);
    memory_->blocks.emplace(first, std::move(block));
  }
  const auto free = [memory = memory_](void* data) {
    const auto* first = static_cast<const char*>(data);
    const std::lock_guard lock(memory->mutex);
    if (memory->in_use[first] > 0)
      memory->freed_early.emplace_back("memory was freed under an operation that uses it");
    memory->in_use.erase(first);
    memory->blocks.erase(first);
  };
  return torch::from_blob(first, source.sizes(), free, source.options());
}

// The block that `first` lies in; call with the memory's mutex held.
const GpuStandIn::Block* GpuStandIn::block_of(const char* first, const char** begin) const {
  auto found = memory_->blocks.upper_bound(first);
  if (found == memory_->blocks.begin()) return nullptr;
  --found;
  if (first >= found->first + found->second.bytes) return nullptr;
  if (begin) *begin = found->first;
  return &found->second;
}

void GpuStandIn::set_start(Start start) {
  const std::lock_guard lock(mutex_);
  start_ = start;
}

void GpuStandIn::fail_at(int collective) {
  const std::lock_guard lock(mutex_);
  fail_at_ = collective;
}

void GpuStandIn::stall_at(int collective) {
  const std::lock_guard lock(mutex_);
  stall_at_ = collective;
}

std::vector<std::string> GpuStandIn::complaints() {
  const std::lock_guard lock(mutex_);
  auto all = std::exchange(complaints_, {});
  const std::lock_guard memory_lock(memory_->mutex);
  for (auto& text : std::exchange(memory_->freed_early, {})) all.push_back(std::move(text));
  return all;
}

std::vector<std::string> GpuStandIn::leftovers() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& comm : comms_)
    if (comm->state != State::destroyed && comm->state != State::aborted)
      all.emplace_back("a communicator was not destroyed");
  for (const auto& stream : streams_)
    if (!stream->computes && !stream->destroyed) all.emplace_back("a stream was not destroyed");
  for (const auto& event : events_)
    if (!event->destroyed) all.emplace_back("an event was not destroyed");
  if (in_group_) all.emplace_back("a group was not ended");
  return all;
}

int GpuStandIn::aborts() {
  const std::lock_guard lock(mutex_);
  return aborts_;
}

int GpuStandIn::collectives() {
  const std::lock_guard lock(mutex_);
  return collectives_;
}

void GpuStandIn::complain(const std::string& text) {
  const std::lock_guard lock(mutex_);
  complaints_.push_back(text);
}

void GpuStandIn::refuse(const std::string& text) {
  complain(text);
  throw Error(text);
}

void GpuStandIn::require_usable(Comm* comm, const char* call) {
  if (comm->state == State::destroyed || comm->state == State::aborted)
    refuse(std::string(call) + " on a communicator that is gone");
  if (comm->state != State::ready || comm->polls_left > 0)
    refuse(std::string(call) + " before the communicator has done what it was told");
}

void GpuStandIn::fill_communicators() {
  functions_.unique_id = [this] {
    const std::lock_guard lock(mutex_);
    GpuFunctions::UniqueId id{};
    const std::string text = std::to_string(ids_++ * host_->size() + host_->rank());
    std::copy(text.begin(), text.end(), id.begin());
    return id;
  };
  functions_.comm_init = [this](int size, const GpuFunctions::UniqueId& id, int rank) {
    auto comm = std::make_unique<Comm>();
    comm->ranks = host_->split(std::stoi(id.data()));
    comm->polls_left = kPollsOfStart;
    if (comm->ranks->size() != size || comm->ranks->rank() != rank)
      refuse("comm_init with another size or rank than the ranks that have the id");
    const std::lock_guard lock(mutex_);
    comm->stalled = start_ == Start::stalls;
    if (start_ == Start::fails) comm->error = "an injected failure at the start";
    comms_.push_back(std::move(comm));
    return handle<GpuFunctions::Comm>(comms_.back().get());
  };
  functions_.comm_poll = [this](GpuFunctions::Comm asked) {
    const std::lock_guard lock(mutex_);
    auto* comm = mine<Comm>(asked);
    if (comm->state == State::destroyed || comm->state == State::aborted)
      refuse("comm_poll on a communicator that is gone");
    if (comm->polls_left > 0 || comm->stalled) {
      if (comm->polls_left > 0) --comm->polls_left;
      return Progress::under_way;
    }
    if (!comm->error.empty() && comm->polls_before_error-- <= 0) throw Error(comm->error);
    if (comm->state == State::starting) comm->state = State::ready;
    if (comm->state == State::finalizing) comm->state = State::finalized;
    return Progress::done;
  };
  functions_.comm_finalize = [this](GpuFunctions::Comm asked) {
    const std::lock_guard lock(mutex_);
    auto* comm = mine<Comm>(asked);
    require_usable(comm, "comm_finalize");
    comm->state = State::finalizing;
    comm->polls_left = kPollsOfCall;
    return Progress::under_way;
  };
  functions_.comm_destroy = [this](GpuFunctions::Comm asked) {
    const std::lock_guard lock(mutex_);
    auto* comm = mine<Comm>(asked);
    if (comm->state != State::finalized) refuse("comm_destroy of one that is not finalized");
    comm->state = State::destroyed;
  };
  functions_.comm_abort = [this](GpuFunctions::Comm asked) {
    const std::lock_guard lock(mutex_);
    auto* comm = mine<Comm>(asked);
    if (comm->state == State::destroyed || comm->state == State::aborted)
      refuse("comm_abort of a communicator that is gone");
    comm->state = State::aborted;
    ++aborts_;
    // The GPU lets go of the buffers.
    for (const auto& stream : streams_)
      for (auto& operation : stream->operations)
        if (operation.comm == comm) release(operation);
  };
}

void GpuStandIn::fill_collectives() {
  functions_.group_start = [this] {
    const std::lock_guard lock(mutex_);
    if (in_group_) refuse("group_start in a group");
    in_group_ = true;
  };
  functions_.group_end = [this] {
    std::vector<Operation> group;
    {
      const std::lock_guard lock(mutex_);
      if (!in_group_) refuse("group_end without group_start");
      in_group_ = false;
      group = std::exchange(group_, {});
    }
    for (auto& operation : group) launch(std::move(operation));
    return group.empty() ? Progress::done : Progress::under_way;
  };
  const auto reduction = [this](Kind kind) {
    return [this, kind](const void* input, void* output, size_t count, torch::ScalarType dtype,
                        ReduceOp op, GpuFunctions::Comm comm, GpuFunctions::Stream stream) {
      add(kind, op, 0, input, output, count, dtype, comm, stream);
    };
  };
  functions_.all_reduce = reduction(Kind::all_reduce);
  functions_.reduce_scatter = reduction(Kind::reduce_scatter);
  functions_.broadcast = [this](const void* input, void* output, size_t count,
                                torch::ScalarType dtype, int root, GpuFunctions::Comm comm,
                                GpuFunctions::Stream stream) {
    add(Kind::broadcast, ReduceOp::sum, root, input, output, count, dtype, comm, stream);
  };
  functions_.all_gather = [this](const void* input, void* output, size_t count,
                                 torch::ScalarType dtype, GpuFunctions::Comm comm,
                                 GpuFunctions::Stream stream) {
    add(Kind::all_gather, ReduceOp::sum, 0, input, output, count, dtype, comm, stream);
  };
}

void GpuStandIn::add(Collective::Kind kind, ReduceOp op, int root, const void* input, void* output,
                     size_t count, torch::ScalarType dtype, GpuFunctions::Comm comm,
                     GpuFunctions::Stream stream) {
  const std::lock_guard lock(mutex_);
  Operation operation;
  operation.kind = kind;
  operation.op = op;
  operation.root = root;
  operation.input = static_cast<const char*>(input);
  operation.output = static_cast<char*>(output);
  operation.count = count;
  operation.dtype = dtype;
  operation.comm = mine<Comm>(comm);
  operation.stream = mine<Stream>(stream);
  require_usable(operation.comm, name_of(kind));
  if (operation.stream->destroyed) refuse("a collective on a stream that is gone");
  if (operation.stream->computes) refuse("a collective on the compute stream");
  if (!in_group_) refuse("a collective outside of a group");
  check_buffers(operation);
  if (operation.stream->waited <= operation.stream->fresh_since)
    complain("a collective that does not wait for the compute stream");
  operation.stream->fresh_since = records_;
  group_.push_back(std::move(operation));
}

// NCCL's rules: on the GPU, within one allocation, and one inside the other only in its own place.
void GpuStandIn::check_buffers(const Operation& operation) {
  const size_t in = operation.input_bytes(), out = operation.output_bytes();
  const std::lock_guard lock(memory_->mutex);
  for (const auto& [first, bytes] : {std::pair<const char*, size_t>{operation.input, in},
                                     std::pair<const char*, size_t>{operation.output, out}}) {
    const char* begin = nullptr;
    const auto* block = block_of(first, &begin);
    if (!block || first + bytes > begin + block->bytes)
      refuse("a collective outside of the GPU's memory");
  }
  const auto rank = static_cast<size_t>(operation.comm->ranks->rank());
  const char* in_place = operation.output;
  if (operation.kind == Kind::all_gather) in_place += rank * in;
  if (operation.kind == Kind::reduce_scatter) in_place -= rank * out;
  if (operation.input != in_place && overlap(operation.input, in, operation.output, out))
    refuse("input and output overlap, but not as an operation in place");
}

void GpuStandIn::launch(Operation operation) {
  const size_t in = operation.input_bytes(), out = operation.output_bytes();
  // A stream keeps its order: what comes before and touches the same memory comes to its end first.
  for (size_t i = operation.stream->operations.size(); i-- > 0;) {
    const auto& before = operation.stream->operations[i];
    if (before.delivered || !(overlap(before.output, before.output_bytes(), operation.input, in) ||
                              overlap(before.output, before.output_bytes(), operation.output, out)))
      continue;
    deliver(*operation.stream, i + 1);
    break;
  }
  bool stalled = false;
  {
    const std::lock_guard lock(mutex_);
    ++collectives_;
    const bool fails = fail_at_ > 0 && --fail_at_ == 0;
    stalled = (stall_at_ > 0 && --stall_at_ == 0) || fails;
    if (fails) {
      operation.comm->error = "an injected failure under way";
      operation.comm->polls_before_error = 1;  // the call itself succeeds
    }
    operation.stalled = stalled;
    operation.comm->polls_left = kPollsOfCall;
    const std::lock_guard memory_lock(memory_->mutex);
    for (const char* first : {operation.input, static_cast<const char*>(operation.output)}) {
      const char* begin = nullptr;
      if (block_of(first, &begin)) ++memory_->in_use[begin];
    }
  }
  if (!stalled) {
    const size_t width = torch::elementSize(operation.dtype);
    operation.sent = tensor_at(operation.input, in / width, operation.dtype).clone();
    operation.received = torch::empty({static_cast<int64_t>(out / width)}, operation.dtype);
    auto& ranks = *operation.comm->ranks;
    switch (operation.kind) {
      case Kind::barrier:
        break;
      case Kind::all_reduce:
        operation.work = ranks.all_reduce_async(operation.received, operation.sent, operation.op);
        break;
      case Kind::broadcast:
        operation.received = operation.sent;
        operation.work = ranks.broadcast_async(operation.received, operation.root);
        break;
      case Kind::all_gather:
        operation.work = ranks.all_gather_async(operation.received, operation.sent);
        break;
      case Kind::reduce_scatter:
        operation.work =
            ranks.reduce_scatter_async(operation.received, operation.sent, operation.op);
        break;
    }
  }
  const std::lock_guard lock(mutex_);
  operation.stream->operations.push_back(std::move(operation));
}

void GpuStandIn::release(Operation& operation) {
  if (operation.released) return;
  operation.released = true;
  const std::lock_guard lock(memory_->mutex);
  for (const char* first : {operation.input, static_cast<const char*>(operation.output)}) {
    const char* begin = nullptr;
    if (block_of(first, &begin)) --memory_->in_use[begin];
  }
}

// Has the GPU left it? Call with the mutex held.
bool GpuStandIn::ended(Operation& operation) {
  if (operation.delivered || operation.comm->state == State::aborted) return true;
  if (operation.stalled || !operation.work->done()) return false;
  try {
    operation.work->wait();
    return true;
  } catch (const std::exception& error) {
    // NCCL itself would hang, or move what it should not.
    operation.stalled = true;
    complain(std::string("the ranks' collectives differ: ") + error.what());
    return false;
  }
}

// Lets the compute stream see what the first operations of a stream have moved.
void GpuStandIn::deliver(Stream& stream, size_t position) {
  for (size_t i = 0; i < position;) {
    {
      const std::lock_guard lock(mutex_);
      auto& operation = stream.operations[i];
      const bool end = ended(operation);
      if (operation.stalled || operation.comm->state == State::aborted) return;  // waits for ever
      if (end) {
        if (!operation.delivered)
          std::memcpy(operation.output, operation.received.const_data_ptr(),
                      operation.output_bytes());
        operation.delivered = true;
        release(operation);
        ++i;
        continue;
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void GpuStandIn::fill_streams() {
  functions_.set_device = [this](int device) {
    if (device != 0) refuse("there is one GPU, number 0");
  };
  functions_.stream_create = [this] {
    const std::lock_guard lock(mutex_);
    streams_.push_back(std::make_unique<Stream>());
    return handle<GpuFunctions::Stream>(streams_.back().get());
  };
  functions_.stream_destroy = [this](GpuFunctions::Stream asked) {
    const std::lock_guard lock(mutex_);
    auto* stream = mine<Stream>(asked);
    if (stream->destroyed) refuse("stream_destroy twice");
    stream->destroyed = true;
    for (const auto& operation : stream->operations)
      if (!operation.delivered && operation.comm->state != State::aborted)
        complain("a result that the compute stream never waited for");
  };
  functions_.event_create = [this](bool timed) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::make_unique<Event>());
    events_.back()->timed = timed;
    return handle<GpuFunctions::Event>(events_.back().get());
  };
  functions_.event_record = [this](GpuFunctions::Event asked, GpuFunctions::Stream on) {
    const std::lock_guard lock(mutex_);
    auto* event = mine<Event>(asked);
    auto* stream = mine<Stream>(on);
    if (event->destroyed || stream->destroyed) refuse("event_record of what is gone");
    if (!stream->operations.empty() && stream->operations.back().comm->polls_left > 0)
      complain("an event recorded before NCCL has put its operation into the stream");
    event->recorded = true;
    event->stream = stream;
    event->position = stream->operations.size();
    event->record = ++records_;
  };
  functions_.event_done = [this](GpuFunctions::Event asked) {
    const std::lock_guard lock(mutex_);
    auto* event = mine<Event>(asked);
    if (event->destroyed) refuse("event_done of what is gone");
    if (!event->recorded) complain("event_done of an event that was not recorded");
    for (size_t i = 0; i < event->position; ++i)
      if (!ended(event->stream->operations[i])) return false;
    return true;
  };
  functions_.seconds_between = [this](GpuFunctions::Event from, GpuFunctions::Event to) {
    const std::lock_guard lock(mutex_);
    const auto *begin = mine<Event>(from), *end = mine<Event>(to);
    if (!begin->timed || !end->timed || begin->stream != end->stream)
      refuse("seconds_between events without times");
    double seconds = 0;
    for (size_t i = begin->position; i < end->position; ++i)
      if (const auto& work = end->stream->operations[i].work) seconds += work->seconds();
    return seconds;
  };
  functions_.event_destroy = [this](GpuFunctions::Event asked) {
    const std::lock_guard lock(mutex_);
    auto* event = mine<Event>(asked);
    if (event->destroyed) refuse("event_destroy twice");
    event->destroyed = true;
  };
  functions_.stream_wait_event = [this](GpuFunctions::Stream waiting, GpuFunctions::Event asked) {
    auto* stream = mine<Stream>(waiting);
    const auto* event = mine<Event>(asked);
    {
      const std::lock_guard lock(mutex_);
      if (event->destroyed || stream->destroyed) refuse("stream_wait_event of what is gone");
      if (!event->recorded) refuse("stream_wait_event of an event that was not recorded");
      if (!stream->computes && event->stream->computes)
        stream->waited = std::max(stream->waited, event->record);
    }
    if (stream->computes && !event->stream->computes) deliver(*event->stream, event->position);
  };
  functions_.compute_stream = [this](int) {
    return handle<GpuFunctions::Stream>(streams_[0].get());
  };
  functions_.is_device_memory = [this](const torch::Tensor& tensor) {
    const std::lock_guard lock(memory_->mutex);
    return block_of(static_cast<const char*>(tensor.storage().data()), nullptr) != nullptr;
  };
}

}  // namespace stylescope::testing_support
