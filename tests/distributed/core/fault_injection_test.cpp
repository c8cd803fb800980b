#include "distributed/fault_injection.hpp"

#include "io/base/error.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

struct Variable {
  explicit Variable(const char* value) { ::setenv("STYLESCOPE_FAULT", value, 1); }
  ~Variable() { ::unsetenv("STYLESCOPE_FAULT"); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
};

TEST(FaultInjection, StrikesAtItsCollectiveOnly) {
  const Variable fault("throw:1:gan:5:2");
  FaultInjection faults(1);
  FlightRecord record;
  record.doing("gan", 4);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(faults.at(record), 0);
  record.doing("encoder", 5);
  EXPECT_EQ(faults.at(record), 0);
  record.doing("gan", 5);
  EXPECT_EQ(faults.at(record), 0);
  EXPECT_THROW(faults.at(record), Error);
  EXPECT_EQ(faults.at(record), 0);  // once
}

TEST(FaultInjection, OtherRanksAndOrdinaryRunsAreLeftAlone) {
  FlightRecord record;
  record.doing("gan", 5);
  {
    const Variable fault("disagree:1:gan:5:1");
    EXPECT_EQ(FaultInjection(0).at(record), 0);
    EXPECT_EQ(FaultInjection(1).at(record), 1);
  }
  EXPECT_EQ(FaultInjection(1).at(record), 0);
}

TEST(FaultInjection, WhatIsNoFaultIsRefused) {
  for (const char* wrong : {"", "throw", "throw:1:gan:5", "explode:1:gan:5:1", "kill:x:gan:5:1",
                            "kill:1:gan:5:0", "kill:1:gan:5:1:9"}) {
    const Variable fault(wrong);
    EXPECT_THROW(FaultInjection(0), UsageError) << wrong;
  }
}

}  // namespace
}  // namespace stylescope
