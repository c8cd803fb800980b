#include "pipeline/host_memory.hpp"

#include <cstdlib>
#include <iostream>
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

[[noreturn]] void use_memory_again() {
  keep_freed_memory();
  constexpr int64_t bytes = 96 << 20;
  const auto use = [] { return torch::ones({bytes}, torch::kUInt8)[bytes - 1].item<int64_t>(); };
  bool ones = use() == 1;
  const auto before = page_faults();
  for (int i = 0; i < 4; ++i) ones = ones && use() == 1;
  const auto faults = page_faults() - before;
  std::cerr << faults << " page faults\n";
  // Fresh from the system all four would take 98304 pages of 4 KiB. (A system that takes back what
  // lies idle leaves some.)
  std::_Exit(ones && faults < 98304 / 8 ? 0 : 1);
}

// In a process of its own, as a program that asks for it first: LibTorch looks once.
TEST(HostMemoryDeathTest, IsUsedAgainWithoutPageFaults) {
#if defined(STYLESCOPE_SANITIZED) || !defined(__GLIBC__)
  GTEST_SKIP() << "another allocator";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(use_memory_again(), testing::ExitedWithCode(0), "page faults");
}

}  // namespace
}  // namespace stylescope
