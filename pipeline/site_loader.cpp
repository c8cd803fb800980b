#include "pipeline/site_loader.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "pipeline/config_reader.hpp"
#include "pipeline/config_text.hpp"
#include "pipeline/config_tree.hpp"
#include "pipeline/install_paths.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

std::vector<std::string> known_sites(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

fs::path file_of(const std::string& site) {
  if (site.find('/') != std::string::npos || site.ends_with(".yaml")) return site;
  const fs::path folder = sites_folder(), file = folder / (site + ".yaml");
  if (fs::exists(file)) return file;
  const auto names = known_sites(folder);
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
  throw UsageError("slurm.site: '" + site + "' is no file of " + folder.string() +
                   suggestion(site, names) + " (there are " + all +
                   "); give one of these, or the path of a profile of your own");
}

}  // namespace

SiteProfile load_site(const std::string& site) {
  const fs::path file = file_of(site);
  const auto text = read_config_text(file, "slurm.site names a site profile");
  const ConfigNode root = parse_config(text, file.string());
  SiteProfile profile;
  ConfigReader reader(root);
  profile.describe(reader);
  reader.finish();
  if (profile.name.empty()) profile.name = file.stem().string();
  profile.check(file.string());
  return profile;
}

}  // namespace stylescope
