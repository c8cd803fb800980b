#include "pipeline/export_images.hpp"

#include "io/log.hpp"
#include "io/pcam_file.hpp"
#include "io/stylegan_set.hpp"

#include <algorithm>

namespace stylescope {

void export_images(const ExportSource& source, const std::string& form, Communicator& world) {
  on_root(world, [&] {
    const auto file = source.images_file();
    const ImageSet images(file);
    const auto rows = source.rows(images);
    if (form == "pcam") {
      write_pcam_set(source.out, images, file.string(), rows);
    } else {
      write_stylegan_set(source.out, images, file.string(), rows);
      const bool test = std::any_of(rows.begin(), rows.end(), [&](int64_t row) {
        return images.record(row).split == Split::test;
      });
      if (test)
        log::warn(
            "{}: holds the test images too; a generator for this run is to be trained on an export "
            "with --split train",
            source.out);
    }
    log::info("exported {} images: {}", rows.size(), source.out);
  });
}

}  // namespace stylescope
