#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"
#include "io/log.hpp"
#include "io/pcam_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr int64_t kBlock = 256;  // images in memory
constexpr const char* kCheckDisk = "check the disk's space and permissions";

void write_pixels(const fs::path& file, const ImageSet& images, const std::vector<int64_t>& rows) {
  publish_file(file, [&](const fs::path& temporary) {
    hdf5::File out = hdf5::File::create(temporary, kCheckDisk);
    const auto count = std::ssize(rows);
    {
      auto x = out.create_fixed("x", torch::kUInt8,
                                {count, images.height(), images.width(), images.channels()});
      for (int64_t first = 0; first < count; first += kBlock) {
        const at::ArrayRef<int64_t> part(rows.data() + first,
                                         static_cast<size_t>(std::min(kBlock, count - first)));
        x.write_rows(first, images.read(part).permute({0, 2, 3, 1}).contiguous());
      }
    }
    out.close();
  });
}

void write_labels(const fs::path& file, const ImageSet& images, const std::vector<int64_t>& rows) {
  auto y = torch::empty({std::ssize(rows), 1, 1, 1}, torch::kUInt8);
  for (size_t i = 0; i < rows.size(); ++i)
    y.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(images.record(rows[i]).label);
  publish_file(file, [&](const fs::path& temporary) {
    hdf5::File out = hdf5::File::create(temporary, kCheckDisk);
    out.write("y", y);
    out.close();
  });
}

void write_csv(const fs::path& file, const ImageSet& images, const std::vector<int64_t>& rows) {
  const bool known = std::ranges::all_of(rows, [&](int64_t row) {
    const auto& record = images.record(row);
    return !record.slide.empty() && std::isfinite(record.x) && std::isfinite(record.y);
  });
  if (!known) {
    log::warn(
        "{}: is not written (not every image is of a known place on a slide): which images belong "
        "together is lost",
        file.string());
    return;
  }
  std::string text = ",coord_y,coord_x,center_tumor_patch,wsi\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& record = images.record(rows[i]);
    validate(record.slide.find_first_of(",\"\n\r") == std::string::npos, file.string(),
             ": cannot hold the slide name '", record.slide,
             "' (a comma, a quotation mark or a line break); name the slide otherwise");
    text += std::to_string(i) + "," + std::to_string(std::llround(record.y)) + "," +
            std::to_string(std::llround(record.x)) + "," + (record.label == 1 ? "True" : "False") +
            "," + record.slide + "\n";
  }
  publish_text(file, text);
}

}  // namespace

void write_pcam_set(const fs::path& folder, const ImageSet& images, const std::string& images_file,
                    const std::vector<int64_t>& rows) {
  validate(images.channels() == 3 && images.height() == images.width(), images_file,
           ": its images have ", images.channels(), " channels and ", images.height(), "x",
           images.width(),
           " pixels (PatchCamelyon's files hold squares in colour); choose another "
           "form");
  validate(images.label_names().size() == 2, images_file, ": has ", images.label_names().size(),
           " classes (PatchCamelyon's files tell normal from tumour, 0 from 1); choose another "
           "form");
  std::error_code failure;
  fs::create_directories(folder, failure);
  validate(!failure, folder.string(), ": cannot be made (", failure.message(), ")");
  for (const Split split : {Split::train, Split::val, Split::test}) {
    std::vector<int64_t> own;
    for (const int64_t row : rows)
      if (images.record(row).split == split) own.push_back(row);
    if (own.empty()) continue;
    const std::string stem = "camelyonpatch_level_2_split_" +
                             (split == Split::val ? std::string("valid") : to_string(split)) + "_";
    write_pixels(folder / (stem + "x.h5"), images, own);
    write_labels(folder / (stem + "y.h5"), images, own);
    write_csv(folder / (stem + "meta.csv"), images, own);
  }
}

}  // namespace stylescope
