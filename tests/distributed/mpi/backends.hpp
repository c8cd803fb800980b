#pragma once

#include "distributed/communicator.hpp"

#include <string>
#include <vector>

namespace stylescope::testing_support {

// A backend of Communicator over all ranks of the test run.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Communicator& world() = 0;
  // A copy in the memory that the backend is for.
  virtual torch::Tensor place(const torch::Tensor& tensor) = 0;
};

// "self" (where there is one rank), "mpi", "nccl": with real NCCL where there is a GPU, with the
// stand-in elsewhere. Made when first asked for, on all ranks; gone after the last test, which
// fails where one of them left something behind.
std::vector<std::string> backend_names();
Backend& backend(const std::string& name);

}  // namespace stylescope::testing_support
