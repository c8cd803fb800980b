#pragma once

#include "io/image_set.hpp"
#include "stages/quality/generated_images.hpp"
#include "stages/quality/memorisation.hpp"
#include "stages/quality/quality.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

namespace stylescope {

// The most suspicious generated images with their pictures: (n, C, H, W) uint8 each, in the order
// of found.suspects.
struct MemorisationReport {
  Memorisation found;
  torch::Tensor generated, nearest, next;
  std::vector<int64_t> rows;         // of the nearest training images in images.h5
  std::vector<ImageRecord> records;  // the same
  torch::Tensor pixel_difference;    // (n) float64: root mean square, in grey levels
};

// All that `stylescope metrics` found out.
struct QualityReport {
  std::string generator, generator_sha256;
  std::string images, images_id;
  std::string features, features_file, features_sha256;
  MetricsConfig config;
  uint64_t seed = 0;
  std::string precision;
  QualityResult result;
  std::optional<MemorisationReport> memorisation;
};

// The suspects' pictures, `batch` generated at a time, and records. Only the root needs it. Not
// collective.
MemorisationReport memorisation_report(Memorisation found, GeneratedImages& source,
                                       const ImageSet& images,
                                       const std::vector<int64_t>& real_rows, int64_t batch);

nlohmann::ordered_json to_json(const QualityReport& report);
// A row a figure, for the terminal / with everything that a figure hangs on, for a spreadsheet.
std::string quality_table(const QualityReport& report);
std::string quality_csv(const QualityReport& report);
// One HTML file that refers to nothing outside itself.
std::string quality_page(const QualityReport& report);
// Three rows a block of suspects: generated, nearest training image, the one nearest to that.
torch::Tensor memorisation_sheet(const MemorisationReport& report);

// quality.json, quality.csv, index.html and (with suspects) memorisation.png in `folder`, each
// published whole. Throws Error.
void write_quality_report(const QualityReport& report, const std::filesystem::path& folder);

}  // namespace stylescope
