#include "pipeline/provenance.hpp"

#include "distributed/mpi_session.hpp"

#include <fstream>

#include <torch/version.h>

namespace stylescope {

std::string program_version() { return STYLESCOPE_VERSION; }
std::string program_revision() { return STYLESCOPE_REVISION; }

nlohmann::json library_versions() {
  return {{"LibTorch", TORCH_VERSION},           {"HDF5", STYLESCOPE_HDF5_VERSION},
          {"OpenCV", STYLESCOPE_OPENCV_VERSION}, {"OpenSlide", STYLESCOPE_OPENSLIDE_VERSION},
          {"libtiff", STYLESCOPE_TIFF_VERSION},  {"libjpeg-turbo", STYLESCOPE_JPEG_VERSION},
          {"yaml-cpp", STYLESCOPE_YAML_VERSION}, {"MPI", MpiSession::library_version()}};
}

std::string cpu_type() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace stylescope
