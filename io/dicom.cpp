#include "io/dicom.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/dicom_data_set.hpp"
#include "io/dicom_display.hpp"
#include "io/dicom_pixels.hpp"
#include "io/dicom_tables.hpp"
#include "io/first_bytes.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace stylescope {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSniffed = 4096;
constexpr size_t kUsualHeader = size_t{1} << 18;

void check_dicom(const std::string& name, std::string_view bytes) {
  validate(looks_like_dicom(bytes), name, ": is no DICOM file; convert it, or leave it out");
}

std::string side_of(const std::string& value) {
  if (value == "L" || value == "LEFT") return "L";
  if (value == "R" || value == "RIGHT") return "R";
  return "";
}

std::string side_of_view(const std::string& view) {
  constexpr std::array<std::string_view, 4> kMammograms{"RCC", "RMLO", "LCC", "LMLO"};
  const bool known = std::ranges::find(kMammograms, view) != kMammograms.end();
  return known ? view.substr(0, 1) : "";
}

std::string laterality_of(const DicomDataSet& data) {
  for (const uint32_t tag : {dicom_tag::image_laterality, dicom_tag::laterality})
    if (auto side = side_of(data.text(tag)); !side.empty()) return side;
  if (const auto anatomy = frame_item(data, dicom_tag::frame_anatomy))
    if (auto side = side_of(anatomy->text(dicom_tag::frame_laterality)); !side.empty()) return side;
  return side_of_view(data.text(dicom_tag::view_position));
}

}  // namespace

bool is_dicom(const fs::path& file) {
  std::error_code error;
  return fs::is_regular_file(file, error) && looks_like_dicom(first_bytes(file, kSniffed));
}

DicomHeader read_dicom_header(const fs::path& file) {
  const std::string name = file.string();
  std::error_code error;
  validate(fs::is_regular_file(file, error), name, ": is no file that can be read; check the path");
  const uint64_t size = fs::file_size(file);
  std::string beginning = first_bytes(file, kUsualHeader);
  check_dicom(name, beginning);
  auto document = parse_dicom(name, std::move(beginning), size, false);
  if (!document) document = parse_dicom(name, read_text(file), size, false);
  validate(document.has_value(), name, ": changes while it is read; try again when it is whole");
  const DicomDataSet& data = document->data;
  const DicomFormat format = described_format(data);
  DicomHeader header;
  header.patient_id = data.text(dicom_tag::patient_id);
  header.study_date = data.text(dicom_tag::study_date);
  // ACR-NEMA's form of a date: 2001.02.03.
  std::erase(header.study_date, '.');
  header.laterality = laterality_of(data);
  header.modality = data.text(dicom_tag::modality);
  header.body_part = data.text(dicom_tag::body_part);
  header.photometric = format.photometric;
  header.transfer_syntax = document->syntax.name;
  header.rows = format.rows;
  header.columns = format.columns;
  header.frames = format.frames;
  header.bits_stored = format.bits_stored;
  return header;
}

torch::Tensor read_dicom(const fs::path& file, int64_t channels, const DicomOptions& options) {
  std::error_code error;
  validate(fs::is_regular_file(file, error), file.string(),
           ": is no file that can be read; check the path");
  return decode_dicom(read_text(file), file.string(), channels, options);
}

torch::Tensor decode_dicom(std::string bytes, const std::string& name, int64_t channels,
                           const DicomOptions& options) try {
  SS_CHECK(channels == 1 || channels == 3);
  SS_CHECK(options.low < options.high, "percentiles ", options.low, " and ", options.high);
  validate(!bytes.empty(), name, ": is empty; copy or download it again");
  check_dicom(name, bytes);
  const size_t size = bytes.size();
  const auto document = parse_dicom(name, std::move(bytes), size, true);
  SS_CHECK(document, "the whole file was given");
  const DicomFormat format = described_format(document->data);
  check_format(name, *document, format);
  const int64_t rows = format.rows, columns = format.columns;
  if (format.samples == 1 && format.photometric != "PALETTE COLOR") {
    const DicomDisplay display = display_of(name, document->data, format);
    auto pixels = stored_pixels(name, *document, format);
    const auto grey = show_grey(std::move(pixels.values), rows, columns, display, options);
    return grey.expand({channels, rows, columns}).contiguous();
  }
  torch::Tensor rgb;
  if (format.samples == 1) {
    const auto palette = palette_of(name, document->data, format);
    rgb = show_palette(stored_pixels(name, *document, format).values, rows, columns, palette);
  } else {
    const auto pixels = stored_pixels(name, *document, format);
    rgb = show_color(pixels.values, rows, columns, pixels.photometric, pixels.bits);
  }
  return channels == 3 ? rgb : luminance(rgb);
} catch (const std::bad_alloc&) {
  throw Error(name + ": needs more memory than there is; cut it smaller, or leave it out");
}

}  // namespace stylescope
