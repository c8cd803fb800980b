#pragma once

#include "distributed/collective.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <string>

#include <torch/torch.h>

// What the NCCL backend asks of NCCL and of the CUDA runtime, as one table of functions: real ones,
// or a stand-in that lets the backend be tested where there is no GPU. Neither nccl.h nor a header
// of CUDA is needed to use it.
//
// Every function throws Error, with the name of the call and the library's own account of it, when
// the call fails. Communicators are non-blocking: a call that gives Progress may have only begun,
// and no other call may be made on that communicator before comm_poll says that it is done.
namespace stylescope {

namespace opaque {
struct Comm;
struct Stream;
struct Event;
}  // namespace opaque

struct GpuFunctions {
  using Comm = opaque::Comm*;      // ncclComm_t
  using Stream = opaque::Stream*;  // cudaStream_t
  using Event = opaque::Event*;    // cudaEvent_t
  using UniqueId = std::array<char, 128>;
  enum class Progress { done, under_way };

  std::string library;  // "NCCL 2.30.7"

  // ncclGetUniqueId, ncclCommInitRankConfig with blocking=0 on the current device (begins only),
  // ncclCommGetAsyncError (throws the error that it tells), ncclCommFinalize, ncclCommDestroy,
  // ncclCommAbort.
  std::function<UniqueId()> unique_id;
  std::function<Comm(int size, const UniqueId& id, int rank)> comm_init;
  std::function<Progress(Comm)> comm_poll;
  std::function<Progress(Comm)> comm_finalize;
  std::function<void(Comm)> comm_destroy, comm_abort;

  // ncclGroupStart and ncclGroupEnd; the four collectives, which begin with the end of their group.
  // Counts are of elements: of the whole tensor, for all_gather of the input, for reduce_scatter of
  // the output.
  std::function<void()> group_start;
  std::function<Progress()> group_end;
  std::function<void(const void*input, void*output, size_t count, torch::ScalarType dtype,
                     ReduceOp op, Comm comm, Stream stream)>
      all_reduce, reduce_scatter;
  std::function<void(const void* input, void* output, size_t count, torch::ScalarType dtype,
                     int root, Comm comm, Stream stream)>
      broadcast;
  std::function<void(const void* input, void* output, size_t count, torch::ScalarType dtype,
                     Comm comm, Stream stream)>
      all_gather;

  // cudaSetDevice; cudaStreamCreateWithFlags(cudaStreamNonBlocking), cudaStreamDestroy;
  // cudaEventCreateWithFlags (with times or without), cudaEventRecord, cudaEventQuery,
  // cudaEventElapsedTime (in seconds), cudaEventDestroy; cudaStreamWaitEvent.
  std::function<void(int device)> set_device;
  std::function<Stream()> stream_create;
  std::function<void(Stream)> stream_destroy;
  std::function<Event(bool timed)> event_create;
  std::function<void(Event, Stream)> event_record;
  std::function<bool(Event)> event_done;
  std::function<double(Event begin, Event end)> seconds_between;
  std::function<void(Event)> event_destroy;
  std::function<void(Stream, Event)> stream_wait_event;

  // The stream that LibTorch computes on, and whether a tensor lies in that device's memory.
  std::function<Stream(int device)> compute_stream;
  std::function<bool(const torch::Tensor&)> is_device_memory;
};

// Which GPU of its host a device is, whatever the process sees of them: "0000:3b:00.0". Throws
// Error where the program was built without CUDA.
std::string gpu_bus_id(int device);

// The real ones. Throws Error where the program was built without NCCL.
GpuFunctions nccl_functions();

}  // namespace stylescope
