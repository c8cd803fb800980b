#include "distributed/mpi_session.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace {
stylescope::Communicator* world_of_test = nullptr;
}

stylescope::Communicator& stylescope::testing_support::world() { return *world_of_test; }

// Every rank runs every test; one that fails anywhere fails the whole run. Only the root prints
// what passes.
int main(int argc, char** argv) {
  stylescope::MpiSession session(&argc, &argv);
  world_of_test = &session.world();
  torch::set_num_threads(1);
  testing::InitGoogleTest(&argc, argv);
  if (!session.world().is_root()) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    auto* printer = listeners.Release(listeners.default_result_printer());
    class FailuresOnly : public testing::EmptyTestEventListener {
      void OnTestPartResult(const testing::TestPartResult& result) override {
        if (result.failed())
          std::cerr << result.file_name() << ":" << result.line_number() << ": " << result.message()
                    << "\n";
      }
    };
    delete printer;
    listeners.Append(new FailuresOnly);
  }
  const double failed = RUN_ALL_TESTS();
  return session.world().all_reduce(failed, stylescope::ReduceOp::max) > 0 ? 1 : 0;
}
