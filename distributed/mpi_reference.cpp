#include "distributed/mpi_reference.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <limits>

#include <mpi.h>

namespace stylescope {
namespace {

MPI_Datatype type_of(const Collective& call) {
  const bool adds =
      call.kind == Collective::Kind::all_reduce || call.kind == Collective::Kind::reduce_scatter;
  switch (call.input.scalar_type()) {
    case torch::kFloat64:
      return MPI_DOUBLE;
    case torch::kFloat32:
      return MPI_FLOAT;
    case torch::kBFloat16:
      return adds ? MPI_DATATYPE_NULL : MPI_UINT16_T;
    default:
      return MPI_DATATYPE_NULL;
  }
}

// A call of MPI, with all that is known before the clock starts.
struct Plain {
  void *from = nullptr, *to = nullptr;
  int count = 0, root = 0;
  MPI_Datatype type = MPI_DATATYPE_NULL;
};

Plain plain_of(const Collective& call) {
  using Kind = Collective::Kind;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  Plain plain{call.input.data_ptr(), call.output.data_ptr(), static_cast<int>(call.input.numel()),
              call.root, type_of(call)};
  const auto part = [&](const torch::Tensor& whole, size_t bytes) {
    return static_cast<void*>(static_cast<char*>(whole.data_ptr()) +
                              static_cast<size_t>(rank) * bytes);
  };
  if (call.kind == Kind::all_reduce && plain.from == plain.to) plain.from = MPI_IN_PLACE;
  if (call.kind == Kind::all_gather && plain.from == part(call.output, call.input.nbytes()))
    plain.from = MPI_IN_PLACE;
  if (call.kind == Kind::reduce_scatter) {
    plain.count = static_cast<int>(call.output.numel());
    if (plain.to == part(call.input, call.output.nbytes())) {
      plain.to = plain.from;
      plain.from = MPI_IN_PLACE;
    }
  }
  return plain;
}

template <class Call>
double timed(int64_t iterations, const Call& call) {
  int code = MPI_Barrier(MPI_COMM_WORLD);
  const double begin = MPI_Wtime();
  for (int64_t i = 0; i < iterations && code == MPI_SUCCESS; ++i) code = call();
  const double end = MPI_Wtime();
  validate(code == MPI_SUCCESS, "the plain MPI loop failed (code ", code, ")");
  return (end - begin) / static_cast<double>(iterations);
}

}  // namespace

double plain_collective_seconds(const Collective& call, int64_t iterations) {
  using Kind = Collective::Kind;
  const MPI_Comm world = MPI_COMM_WORLD;
  int running = 0;
  MPI_Initialized(&running);
  if (!running) return 0;
  if (call.kind == Kind::barrier) return timed(iterations, [&] { return MPI_Barrier(world); });
  if (!call.input.device().is_cpu() || type_of(call) == MPI_DATATYPE_NULL ||
      std::max(call.input.numel(), call.output.numel()) > std::numeric_limits<int>::max())
    return 0;
  const Plain p = plain_of(call);
  switch (call.kind) {
    case Kind::all_reduce:
      return timed(iterations,
                   [&] { return MPI_Allreduce(p.from, p.to, p.count, p.type, MPI_SUM, world); });
    case Kind::broadcast:
      return timed(iterations, [&] { return MPI_Bcast(p.to, p.count, p.type, p.root, world); });
    case Kind::all_gather:
      return timed(iterations, [&] {
        return MPI_Allgather(p.from, p.count, p.type, p.to, p.count, p.type, world);
      });
    case Kind::reduce_scatter:
      return timed(iterations, [&] {
        return MPI_Reduce_scatter_block(p.from, p.to, p.count, p.type, MPI_SUM, world);
      });
    case Kind::barrier:
      break;
  }
  return 0;
}

}  // namespace stylescope
