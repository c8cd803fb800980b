#include "stages/ingest/file_state.hpp"

#include "io/base/error.hpp"

namespace fs = std::filesystem;

namespace stylescope {

void add_file_state(Sha256& hash, const std::string& name, const fs::path& file) {
  std::error_code ignored;
  const auto size = fs::file_size(file, ignored);
  const auto changed = fs::last_write_time(file, ignored).time_since_epoch().count();
  hash.update(detail::concatenate(name, '\0', size, '\0', changed, '\0'));
}

}  // namespace stylescope
