#include "pipeline/host_memory.hpp"

#include <sys/resource.h>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST(HostMemory, IsUsedAgainWithoutPageFaults) {
#if defined(STYLESCOPE_SANITIZED) || !defined(__GLIBC__)
  GTEST_SKIP() << "another allocator";
#endif
  keep_freed_memory();
  constexpr int64_t bytes = 96 << 20;
  const auto use = [] { return torch::ones({bytes}, torch::kUInt8)[bytes - 1].item<int64_t>(); };
  EXPECT_EQ(use(), 1);
  const auto before = page_faults();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(use(), 1);
  // Fresh from the system all four would take 98304 pages of 4 KiB. (A system that takes back what
  // lies idle leaves some.)
  EXPECT_LT(page_faults() - before, 98304 / 8);
}

}  // namespace
}  // namespace stylescope
