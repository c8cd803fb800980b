#include "distributed/gpu_functions.hpp"
#include "io/base/error.hpp"

#ifdef STYLESCOPE_NCCL
#include <algorithm>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <c10/cuda/CUDAStream.h>
#endif

namespace stylescope {

#ifndef STYLESCOPE_NCCL

std::string gpu_bus_id(int) { throw Error("this program was built without CUDA"); }

GpuFunctions nccl_functions() {
  throw Error(
      "NCCL: not in this program (it was built with a LibTorch without CUDA, or where nccl.h was "
      "not found); build it with a LibTorch for CUDA, or choose MPI for the ranks' communication");
}

#else

namespace {

using Progress = GpuFunctions::Progress;

ncclComm_t real(GpuFunctions::Comm comm) { return reinterpret_cast<ncclComm_t>(comm); }
cudaStream_t real(GpuFunctions::Stream stream) { return reinterpret_cast<cudaStream_t>(stream); }
cudaEvent_t real(GpuFunctions::Event event) { return reinterpret_cast<cudaEvent_t>(event); }

Progress check(ncclResult_t result, const char* call, ncclComm_t comm = nullptr) {
  if (result == ncclInProgress) return Progress::under_way;
  if (result == ncclSuccess) return Progress::done;
  const char* detail = ncclGetLastError(comm);
  throw TransientError(detail::concatenate(
      call, " failed: ", ncclGetErrorString(result),
      detail && *detail ? detail::concatenate(" (", detail, ")") : std::string(),
      "; with NCCL_DEBUG=INFO in the environment NCCL says more"));
}

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // or LibTorch would find it again after a call of its own
  throw TransientError(detail::concatenate(call, " failed: ", cudaGetErrorString(error)));
}

ncclDataType_t type_of(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kFloat64:
      return ncclFloat64;
    case torch::kFloat32:
      return ncclFloat32;
    case torch::kBFloat16:
      return ncclBfloat16;
    case torch::kInt64:
      return ncclInt64;
    case torch::kInt32:
      return ncclInt32;
    case torch::kUInt8:
      return ncclUint8;
    default:
      SS_CHECK(false, "no NCCL type for ", dtype);
  }
  return ncclFloat32;
}

ncclRedOp_t op_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return ncclSum;
    case ReduceOp::mean:
      return ncclAvg;
    case ReduceOp::max:
      return ncclMax;
    case ReduceOp::min:
      return ncclMin;
  }
  return ncclSum;
}

void fill_communicators(GpuFunctions& table) {
  table.unique_id = [] {
    ncclUniqueId id;
    check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    GpuFunctions::UniqueId bytes{};
    static_assert(sizeof(id.internal) == std::tuple_size_v<GpuFunctions::UniqueId>);
    std::copy_n(id.internal, bytes.size(), bytes.begin());
    return bytes;
  };
  table.comm_init = [](int size, const GpuFunctions::UniqueId& bytes, int rank) {
    ncclUniqueId id;
    std::copy(bytes.begin(), bytes.end(), id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t comm = nullptr;
    check(ncclCommInitRankConfig(&comm, size, id, rank, &config), "ncclCommInitRankConfig");
    return reinterpret_cast<GpuFunctions::Comm>(comm);
  };
  table.comm_poll = [](GpuFunctions::Comm comm) {
    ncclResult_t state = ncclSuccess;
    check(ncclCommGetAsyncError(real(comm), &state), "ncclCommGetAsyncError", real(comm));
    return check(state, "an operation of NCCL", real(comm));
  };
  table.comm_finalize = [](GpuFunctions::Comm comm) {
    return check(ncclCommFinalize(real(comm)), "ncclCommFinalize", real(comm));
  };
  table.comm_destroy = [](GpuFunctions::Comm comm) {
    check(ncclCommDestroy(real(comm)), "ncclCommDestroy");
  };
  table.comm_abort = [](GpuFunctions::Comm comm) {
    check(ncclCommAbort(real(comm)), "ncclCommAbort");
  };
}

void fill_collectives(GpuFunctions& table) {
  table.group_start = [] { check(ncclGroupStart(), "ncclGroupStart"); };
  table.group_end = [] { return check(ncclGroupEnd(), "ncclGroupEnd"); };
  table.all_reduce = [](const void* input, void* output, size_t count, torch::ScalarType dtype,
                        ReduceOp op, GpuFunctions::Comm comm, GpuFunctions::Stream stream) {
    check(ncclAllReduce(input, output, count, type_of(dtype), op_of(op), real(comm), real(stream)),
          "ncclAllReduce", real(comm));
  };
  table.reduce_scatter = [](const void* input, void* output, size_t count, torch::ScalarType dtype,
                            ReduceOp op, GpuFunctions::Comm comm, GpuFunctions::Stream stream) {
    check(ncclReduceScatter(input, output, count, type_of(dtype), op_of(op), real(comm),
                            real(stream)),
          "ncclReduceScatter", real(comm));
  };
  table.broadcast = [](const void* input, void* output, size_t count, torch::ScalarType dtype,
                       int root, GpuFunctions::Comm comm, GpuFunctions::Stream stream) {
    check(ncclBroadcast(input, output, count, type_of(dtype), root, real(comm), real(stream)),
          "ncclBroadcast", real(comm));
  };
  table.all_gather = [](const void* input, void* output, size_t count, torch::ScalarType dtype,
                        GpuFunctions::Comm comm, GpuFunctions::Stream stream) {
    check(ncclAllGather(input, output, count, type_of(dtype), real(comm), real(stream)),
          "ncclAllGather", real(comm));
  };
}

void fill_streams(GpuFunctions& table) {
  table.set_device = [](int device) { check(cudaSetDevice(device), "cudaSetDevice"); };
  table.stream_create = [] {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return reinterpret_cast<GpuFunctions::Stream>(stream);
  };
  table.stream_destroy = [](GpuFunctions::Stream stream) {
    check(cudaStreamDestroy(real(stream)), "cudaStreamDestroy");
  };
  table.event_create = [](bool timed) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming),
          "cudaEventCreateWithFlags");
    return reinterpret_cast<GpuFunctions::Event>(event);
  };
  table.event_record = [](GpuFunctions::Event event, GpuFunctions::Stream stream) {
    check(cudaEventRecord(real(event), real(stream)), "cudaEventRecord");
  };
  table.event_done = [](GpuFunctions::Event event) {
    const auto state = cudaEventQuery(real(event));
    if (state == cudaErrorNotReady) {
      cudaGetLastError();  // "not ready" is no error to anybody else
      return false;
    }
    check(state, "cudaEventQuery");
    return true;
  };
  table.seconds_between = [](GpuFunctions::Event begin, GpuFunctions::Event end) {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, real(begin), real(end)), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  };
  table.event_destroy = [](GpuFunctions::Event event) {
    check(cudaEventDestroy(real(event)), "cudaEventDestroy");
  };
  table.stream_wait_event = [](GpuFunctions::Stream stream, GpuFunctions::Event event) {
    check(cudaStreamWaitEvent(real(stream), real(event), 0), "cudaStreamWaitEvent");
  };
}

}  // namespace

std::string gpu_bus_id(int device) {
  char name[32] = "";
  check(cudaDeviceGetPCIBusId(name, sizeof name, device), "cudaDeviceGetPCIBusId");
  return name;
}

GpuFunctions nccl_functions() {
  GpuFunctions table;
  int version = 0;
  check(ncclGetVersion(&version), "ncclGetVersion");
  table.library =
      detail::concatenate("NCCL ", version / 10000, ".", version / 100 % 100, ".", version % 100);
  fill_communicators(table);
  fill_collectives(table);
  fill_streams(table);
  table.compute_stream = [](int device) {
    const auto stream = c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device));
    return reinterpret_cast<GpuFunctions::Stream>(stream.stream());
  };
  table.is_device_memory = [](const torch::Tensor& tensor) { return tensor.is_cuda(); };
  return table;
}

#endif

}  // namespace stylescope
