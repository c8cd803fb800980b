#pragma once

#include <string>

#include <nlohmann/json.hpp>

// What stage.json says about the program and the machine.
namespace stylescope {

// "0.1.0".
std::string program_version();
// The commit the program was configured from, "unknown" outside a git checkout; "-changed" when
// files differed from it.
std::string program_revision();
// Versions by name: LibTorch, HDF5, OpenCV, yaml-cpp, MPI.
nlohmann::json library_versions();
// "Intel(R) Xeon(R) ...", "unknown" where the system does not tell.
std::string cpu_type();

}  // namespace stylescope
