#include "distributed/mpi_transfer.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace stylescope {
namespace {

float from_bfloat16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Added in float32, rounded to nearest even.
void add_bfloat16(void* in, void* in_out, int* count, MPI_Datatype*) {
  const auto* a = static_cast<const uint16_t*>(in);
  auto* b = static_cast<uint16_t*>(in_out);
  for (int i = 0; i < *count; ++i)
    b[i] = c10::BFloat16(from_bfloat16(a[i]) + from_bfloat16(b[i])).x;
}

// The calling rank's part of a tensor that holds one of `bytes` for each rank.
void* part_of(const torch::Tensor& whole, size_t bytes, MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return static_cast<char*>(whole.data_ptr()) + static_cast<size_t>(rank) * bytes;
}

// MPI has sums.
void divide_if_mean(const Collective& call, MPI_Comm comm) {
  if (call.op != ReduceOp::mean) return;
  int size = 1;
  MPI_Comm_size(comm, &size);
  const torch::NoGradGuard no_grad;
  auto output = call.output;
  output.div_(size);
}

// MPI counts in int: a tensor in pieces.
template <class Call>
void for_each_piece(const torch::Tensor& tensor, const Call& call) {
  constexpr int64_t kMost = int64_t{1} << 30;
  for (int64_t begin = 0; begin < tensor.numel(); begin += kMost)
    call(static_cast<size_t>(begin) * tensor.element_size(),
         static_cast<int>(std::min(kMost, tensor.numel() - begin)));
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw TransientError(detail::concatenate(call, " failed: ", text));
}

int mpi_count(int64_t count) {
  SS_CHECK(count <= std::numeric_limits<int>::max(), count, " elements in one MPI call");
  return static_cast<int>(count);
}

MpiTransfer::MpiTransfer() {
  check_mpi(MPI_Type_contiguous(2, MPI_BYTE, &bfloat16_), "MPI_Type_contiguous");
  check_mpi(MPI_Type_commit(&bfloat16_), "MPI_Type_commit");
  check_mpi(MPI_Op_create(add_bfloat16, 1, &bfloat16_sum_), "MPI_Op_create");
}

MpiTransfer::~MpiTransfer() {
  MPI_Op_free(&bfloat16_sum_);
  MPI_Type_free(&bfloat16_);
}

void MpiTransfer::run(const Collective& call, MPI_Comm comm) const {
  using Kind = Collective::Kind;
  switch (call.kind) {
    case Kind::barrier:
      return;
    case Kind::all_reduce:
      return all_reduce(call, comm);
    case Kind::broadcast:
      return broadcast(call, comm);
    case Kind::all_gather:
      return all_gather(call, comm);
    case Kind::reduce_scatter:
      return reduce_scatter(call, comm);
  }
}

void MpiTransfer::all_reduce(const Collective& call, MPI_Comm comm) const {
  const auto type = type_of(call.output);
  const auto op = op_of(call);
  const auto* from = static_cast<const char*>(call.input.data_ptr());
  auto* to = static_cast<char*>(call.output.data_ptr());
  for_each_piece(call.output, [&](size_t offset, int count) {
    check_mpi(MPI_Allreduce(from == to ? MPI_IN_PLACE : from + offset, to + offset, count, type, op,
                            comm),
              "MPI_Allreduce");
  });
  divide_if_mean(call, comm);
}

void MpiTransfer::broadcast(const Collective& call, MPI_Comm comm) const {
  auto* data = static_cast<char*>(call.output.data_ptr());
  const auto type = type_of(call.output);
  for_each_piece(call.output, [&](size_t offset, int count) {
    check_mpi(MPI_Bcast(data + offset, count, type, call.root, comm), "MPI_Bcast");
  });
}

void MpiTransfer::all_gather(const Collective& call, MPI_Comm comm) const {
  const bool in_place = call.input.data_ptr() == part_of(call.output, call.input.nbytes(), comm);
  const int count = mpi_count(call.input.numel());
  const auto type = type_of(call.output);
  check_mpi(MPI_Allgather(in_place ? MPI_IN_PLACE : call.input.data_ptr(), count, type,
                          call.output.data_ptr(), count, type, comm),
            "MPI_Allgather");
}

void MpiTransfer::reduce_scatter(const Collective& call, MPI_Comm comm) const {
  // In place, MPI leaves the result at the beginning of the input.
  const bool in_place = call.output.data_ptr() == part_of(call.input, call.output.nbytes(), comm);
  auto result = in_place ? call.input.view(-1).narrow(0, 0, call.output.numel()) : call.output;
  check_mpi(
      MPI_Reduce_scatter_block(in_place ? MPI_IN_PLACE : call.input.data_ptr(), result.data_ptr(),
                               mpi_count(result.numel()), type_of(result), op_of(call), comm),
      "MPI_Reduce_scatter_block");
  const torch::NoGradGuard no_grad;
  auto output = call.output.view(-1);
  if (in_place && result.data_ptr() != output.data_ptr()) output.copy_(result);
  divide_if_mean(call, comm);
}

MPI_Datatype MpiTransfer::type_of(const torch::Tensor& tensor) const {
  switch (tensor.scalar_type()) {
    case torch::kFloat64:
      return MPI_DOUBLE;
    case torch::kFloat32:
      return MPI_FLOAT;
    case torch::kBFloat16:
      return bfloat16_;
    case torch::kInt64:
      return MPI_INT64_T;
    case torch::kInt32:
      return MPI_INT32_T;
    case torch::kUInt8:
      return MPI_UINT8_T;
    default:
      SS_CHECK(false, "no MPI type for ", tensor.scalar_type());
  }
  return MPI_DATATYPE_NULL;
}

MPI_Op MpiTransfer::op_of(const Collective& call) const {
  const bool adds = call.op == ReduceOp::sum || call.op == ReduceOp::mean;
  if (call.input.scalar_type() == torch::kBFloat16) {
    SS_CHECK(adds, "bfloat16 has sums and means only");
    return bfloat16_sum_;
  }
  return adds ? MPI_SUM : call.op == ReduceOp::max ? MPI_MAX : MPI_MIN;
}

}  // namespace stylescope
