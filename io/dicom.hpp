#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <torch/torch.h>

// DICOM files: what they say of a picture, and the picture. GDCM decodes what is compressed
// (io/gdcm_codec.hpp). Of people nothing leaves this header but what DicomHeader has, and no
// message holds any of it.
namespace stylescope {

struct DicomHeader {
  std::string patient_id;
  std::string study_date;  // YYYYMMDD
  // "L", "R" or "": Image Laterality, Laterality, Frame Laterality, or a mammogram's view (RCC,
  // LMLO). View positions LL and RL are projections and say nothing of it.
  std::string laterality;
  std::string modality, body_part, photometric;
  std::string transfer_syntax;  // its name
  int64_t rows = 0, columns = 0, frames = 1, bits_stored = 0;
};

struct DicomOptions {
  // window: the file's VOI table, else its window, else percentiles; percentile; full: from the
  // smallest to the largest value.
  std::string stretch = "window";
  double low = 0.5, high = 99.5;  // percentiles, in percent
};

// By its bytes (a preamble with "DICM", or a data set without one), never by its name. False for
// what cannot be read.
bool is_dicom(const std::filesystem::path& file);

// Of any DICOM file, with a picture or without; no pixels are read. Throws Error where it is none,
// or is cut off or damaged ahead of its pixels.
DicomHeader read_dicom_header(const std::filesystem::path& file);

// (C, H, W) uint8, C = 1 (grey; colour's luminance) or 3. Modality table or rescale slope and
// intercept, VOI table or window (LINEAR, LINEAR_EXACT, SIGMOID) or percentiles; MONOCHROME1 is
// inverted, so that black is 0 in every picture; padding is black; YBR and PALETTE COLOR become
// RGB. Several frames are refused: a picture has one. Throws Error: file, what is wrong (cut off,
// damaged, no picture, a transfer syntax that is not read), what to do.
torch::Tensor read_dicom(const std::filesystem::path& file, int64_t channels,
                         const DicomOptions& options = {});
// The same of a file's content; `name` stands for it in messages.
torch::Tensor decode_dicom(std::string bytes, const std::string& name, int64_t channels,
                           const DicomOptions& options = {});

}  // namespace stylescope
