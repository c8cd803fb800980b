#include "stages/tile/tile_prints.hpp"

#include "io/base/error.hpp"
#include "io/safetensors.hpp"
#include "stages/audit/image_audit.hpp"
#include "stages/tile/slide_tiling.hpp"

#include <algorithm>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// Nothing where there is no such file, or one of another number of tiles.
std::vector<ImagePrint> read_prints(const fs::path& file, int64_t count) {
  if (!fs::exists(file)) return {};
  const auto content = read_safetensors(file);
  const auto low = content.at("low"), contrast = content.at("contrast");
  if (low.dim() != 2 || low.size(0) != count || low.size(1) != kPrintSize ||
      contrast.numel() != count)
    return {};
  std::vector<ImagePrint> prints(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    auto& print = prints[static_cast<size_t>(i)];
    std::copy_n(low.data_ptr<float>() + i * kPrintSize, kPrintSize, print.low.begin());
    print.contrast = contrast.data_ptr<float>()[i];
  }
  return prints;
}

}  // namespace

void write_prints(const fs::path& file, const std::vector<ImagePrint>& prints) {
  const auto count = std::ssize(prints);
  auto low = torch::empty({count, kPrintSize}), contrast = torch::empty({count});
  for (int64_t i = 0; i < count; ++i) {
    const auto& print = prints[static_cast<size_t>(i)];
    std::ranges::copy(print.low, low.data_ptr<float>() + i * kPrintSize);
    contrast.data_ptr<float>()[i] = print.contrast;
  }
  write_safetensors(file, {{{"low", low}, {"contrast", contrast}}, {}});
}

nlohmann::json audit_tiles(const TileConfig& config, const ImageSet& images,
                           const fs::path& out_dir) {
  if (!config.audit.on()) return nlohmann::json::object();
  std::vector<ImageRecord> records;
  std::vector<ImagePrint> prints;
  for (int64_t first = 0; first < images.size();) {
    const std::string& slide = images.record(first).slide;
    int64_t last = first;
    for (; last < images.size() && images.record(last).slide == slide; ++last)
      records.push_back(images.record(last));
    auto known = read_prints(SlideFiles(out_dir, slide).prints, last - first);
    for (int64_t i = first; known.empty() && i < last; ++i)
      prints.push_back(print_of(images.read({i})[0]));
    prints.insert(prints.end(), known.begin(), known.end());
    first = last;
  }
  const AuditedSet set{config.path.empty() ? "tile" : config.path,
                       "tile.audit",
                       records,
                       images.label_names(),
                       prints,
                       [&](at::ArrayRef<int64_t> rows) { return images.read(rows); },
                       false};
  return audit_images(set, config.audit, out_dir).metrics;
}

}  // namespace stylescope
