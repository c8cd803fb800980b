#pragma once

#include "slurm/site_profile.hpp"

#include <string>

namespace stylescope {

// A site profile by its name (a file of slurm/sites) or, where there is a slash or ".yaml" in it,
// by its file. Throws UsageError that names file, line and key, or lists the names there are.
SiteProfile load_site(const std::string& site);

}  // namespace stylescope
