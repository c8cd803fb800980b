#pragma once

#include "distributed/flight_record.hpp"

#include <cstdint>
#include <string>

// Faults on purpose: STYLESCOPE_FAULT=<kind>:<rank>:<stage>:<step>:<n> lets that rank fail when it
// enters the n-th collective (from 1) of that step of a stage. The tests of rule 5, and anyone who
// wants to see what a failure looks like on a cluster, use it.
//   throw     an exception
//   kill      SIGKILL
//   stall     enters nothing any more, while the process lives
//   stop      SIGSTOP: nothing of the process runs any more
//   disagree  a collective of another size than the others'
namespace stylescope {

class FaultInjection {
 public:
  // From the environment; throws UsageError for a value that is no fault.
  explicit FaultInjection(int rank);

  // Called before a collective is entered: throws, or does not return, or gives how many elements
  // more than the others this rank pretends to have.
  int64_t at(const FlightRecord& record) { return kind_.empty() ? 0 : consider(record.read()); }

 private:
  int64_t consider(const FlightRecord::Entry& now);
  int64_t strike() const;

  std::string kind_;  // empty: none
  std::string stage_;
  int64_t step_ = 0, countdown_ = 0;
};

}  // namespace stylescope
