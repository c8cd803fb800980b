#pragma once

#include <filesystem>

namespace stylescope {

// Where the profiles of clusters (*.yaml) lie: $STYLESCOPE_SITES where that is set and not empty,
// else share/stylescope/sites of the folder that the program is installed in, else the source
// tree's. Whether the folder exists is not asked but for the installed one.
std::filesystem::path sites_folder();

// The same for a program at `program`, an absolute path.
std::filesystem::path sites_folder(const std::filesystem::path& program);

}  // namespace stylescope
