#include "stages/images/contact_sheet.hpp"

#include "io/picture.hpp"

namespace stylescope {
namespace {

constexpr int64_t kColumns = 8;

}  // namespace

ContactSheet::ContactSheet(size_t classes, int64_t channels, int64_t size)
    : images_(torch::zeros({static_cast<int64_t>(classes) * kColumns, channels, size, size},
                           torch::kUInt8)),
      filled_(classes, 0) {}

bool ContactSheet::wants(const ImageRecord& record) const {
  return record.split == Split::train && filled_[static_cast<size_t>(record.label)] < kColumns;
}

void ContactSheet::add(const torch::Tensor& pixels, const ImageRecord& record) {
  if (!wants(record)) return;
  images_[record.label * kColumns + filled_[static_cast<size_t>(record.label)]++].copy_(pixels);
}

void ContactSheet::write(const std::filesystem::path& file) const {
  write_png(file, tile_grid(images_, kColumns));
}

}  // namespace stylescope
