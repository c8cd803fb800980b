#include "pipeline/install_paths.hpp"

#include <cstdlib>

namespace fs = std::filesystem;

namespace stylescope {

fs::path sites_folder() { return sites_folder(fs::read_symlink("/proc/self/exe")); }

fs::path sites_folder(const fs::path& program) {
  if (const char* own = std::getenv("STYLESCOPE_SITES"); own != nullptr && *own != '\0') return own;
  const auto installed = program.parent_path().parent_path() / "share" / "stylescope" / "sites";
  std::error_code none;
  return fs::is_directory(installed, none) ? installed : fs::path(STYLESCOPE_SOURCE_SITES);
}

}  // namespace stylescope
