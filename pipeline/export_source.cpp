#include "pipeline/export_source.hpp"

#include "io/base/error.hpp"
#include "stages/artifacts.hpp"

namespace fs = std::filesystem;

namespace stylescope {

fs::path ExportSource::images_file() const {
  if (!fs::is_directory(source)) return source;
  for (const char* file : {artifacts::tiles, artifacts::images})
    if (fs::exists(fs::path(source) / file)) return fs::path(source) / file;
  return fs::path(source) / artifacts::tiles;
}

void ExportSource::prepare() const {
  if (!fs::exists(images_file()))
    throw UsageError(source + ": is neither an images.h5 nor a run directory with one");
  if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out)))
    throw UsageError(out + ": is there already; choose another --out");
}

std::vector<int64_t> ExportSource::rows(const ImageSet& images) const {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < images.size(); ++i)
    if (split.empty() || to_string(images.record(i).split) == split) rows.push_back(i);
  validate(!rows.empty(), images_file().string(), ": has no images in split '", split, "'");
  return rows;
}

void make_export_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  validate(!failure, folder.string(), ": cannot be made (", failure.message(),
           "); choose another --out");
}

}  // namespace stylescope
