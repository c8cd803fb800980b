#pragma once

#include "distributed/collective.hpp"

#include <mpi.h>

namespace stylescope {

// Throws Error with MPI's own words where `code` is no success of this call.
void check_mpi(int code, const char* call);
// As MPI counts.
int mpi_count(int64_t count);

// The data of a collective by MPI, on memory that MPI can reach; all ranks have entered it. Holds
// what MPI does not have: bfloat16 and its sum. Ends before MPI does.
class MpiTransfer {
 public:
  MpiTransfer();
  ~MpiTransfer();
  MpiTransfer(const MpiTransfer&) = delete;
  MpiTransfer& operator=(const MpiTransfer&) = delete;

  void run(const Collective& call, MPI_Comm comm) const;

 private:
  void all_reduce(const Collective& call, MPI_Comm comm) const;
  void broadcast(const Collective& call, MPI_Comm comm) const;
  void all_gather(const Collective& call, MPI_Comm comm) const;
  void reduce_scatter(const Collective& call, MPI_Comm comm) const;
  MPI_Datatype type_of(const torch::Tensor& tensor) const;
  MPI_Op op_of(const Collective& call) const;

  MPI_Datatype bfloat16_ = MPI_DATATYPE_NULL;
  MPI_Op bfloat16_sum_ = MPI_OP_NULL;
};

}  // namespace stylescope
