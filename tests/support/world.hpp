#pragma once

#include "distributed/communicator.hpp"

namespace stylescope::testing_support {

// The ranks of this test run, in tests registered with NP (tests/support/mpi_main.cpp).
Communicator& world();

}  // namespace stylescope::testing_support
