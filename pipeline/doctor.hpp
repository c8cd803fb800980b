#pragma once

#include "pipeline/doctor_checks.hpp"
#include "pipeline/host_facts.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/startup_check.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

// Is this machine, or this allocation, fit to run?
namespace stylescope {

struct DoctorSettings {
  std::filesystem::path folder = ".";  // on the file system of the runs
  std::string mpi;                     // the site's plugin of srun; "": srun is not used
  int64_t threads = 0;                 // as in a configuration
  NamedFiles files;                    // those that a configuration names
};

// What the checks look at. All ranks' facts are gathered once, for all checks.
class DoctorScene {
 public:
  DoctorScene(const DoctorSettings& settings, Communicator& world)
      : settings(settings), world(world) {}

  // The first call is collective. `gathering_seconds`: how long it took.
  const std::vector<HostFacts>& ranks();
  double gathering_seconds() const { return gathering_seconds_; }

  const DoctorSettings& settings;
  Communicator& world;

 private:
  std::vector<HostFacts> ranks_;
  double gathering_seconds_ = 0;
};

// One look at one thing. The table says which there are, in their order.
struct DoctorCheck {
  const char* name;
  bool collective;  // takes part in it: every rank; else the root alone
  std::vector<Finding> (*look)(DoctorScene&);
};
// Of this machine alone, and of an allocation with all of its ranks.
const std::vector<DoctorCheck>& doctor_checks();
const std::vector<DoctorCheck>& doctor_checks_in_job();

}  // namespace stylescope
