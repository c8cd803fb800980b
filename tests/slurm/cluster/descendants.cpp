#include "tests/slurm/cluster/descendants.hpp"

#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <map>
#include <string>

namespace stylescope::testing_support {
namespace {

// Children by parent, of all processes but those that are dead and only wait to be asked for.
std::multimap<pid_t, pid_t> all_processes() {
  std::multimap<pid_t, pid_t> children;
  DIR* folder = ::opendir("/proc");
  if (!folder) return children;
  while (const dirent* entry = ::readdir(folder)) {
    const auto pid = static_cast<pid_t>(std::atol(entry->d_name));
    if (pid <= 0) continue;
    std::ifstream file("/proc/" + std::string(entry->d_name) + "/stat");
    std::string text;
    std::getline(file, text);
    const auto name_ends = text.rfind(')');
    char state = 0;
    int parent = 0;
    if (name_ends != std::string::npos &&
        std::sscanf(text.c_str() + name_ends + 1, " %c %d", &state, &parent) == 2 && state != 'Z')
      children.emplace(parent, pid);
  }
  ::closedir(folder);
  return children;
}

}  // namespace

std::vector<pid_t> descendants_of(pid_t ancestor) {
  const auto children = all_processes();
  std::vector<pid_t> found{ancestor};
  for (size_t i = 0; i < found.size(); ++i) {
    const auto [begin, end] = children.equal_range(found[i]);
    for (auto child = begin; child != end; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

}  // namespace stylescope::testing_support
