#pragma once

#include "tests/slurm/cluster/local_cluster.hpp"

#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

// STYLESCOPE_REQUIRE_CLUSTER(cluster, shape): a std::unique_ptr<LocalCluster> in a test's body.
// Where none can be started the test is skipped, and the reason said; with the environment variable
// STYLESCOPE_REQUIRE_SLURM=1 it fails.
namespace stylescope::testing_support {

inline std::unique_ptr<LocalCluster> start_cluster(const ClusterShape& shape, std::string& why) {
  why = LocalCluster::obstacle();
  if (!why.empty()) return nullptr;
  try {
    return std::make_unique<LocalCluster>(shape);
  } catch (const std::exception& problem) {
    why = problem.what();
    return nullptr;
  }
}

inline bool cluster_is_required() {
  const char* value = std::getenv("STYLESCOPE_REQUIRE_SLURM");
  return value && std::string(value) == "1";
}

}  // namespace stylescope::testing_support

#define STYLESCOPE_SKIP_WITHOUT(there, why)                             \
  if (!(there) && ::stylescope::testing_support::cluster_is_required()) \
    FAIL() << "no Slurm cluster could be started: " << (why);           \
  if (!(there)) GTEST_SKIP() << "no Slurm cluster is started here: " << (why)

#define STYLESCOPE_REQUIRE_CLUSTER(cluster, ...)                                           \
  std::string cluster##_why;                                                               \
  auto cluster = ::stylescope::testing_support::start_cluster(__VA_ARGS__, cluster##_why); \
  STYLESCOPE_SKIP_WITHOUT(cluster != nullptr, cluster##_why)
