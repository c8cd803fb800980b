#pragma once

#include "io/dicom_data_set.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// How a picture's pixels are described (PS3.3, C.7.6.3: the Image Pixel module).
struct DicomFormat {
  int64_t rows = 0, columns = 0, samples = 1, frames = 1;
  int64_t bits_allocated = 0, bits_stored = 0, high_bit = 0;
  bool is_signed = false, planar = false;
  std::string photometric;
  int64_t pixels() const { return rows * columns; }
};

// As the data set says it, nothing checked but numbers for being numbers; 0 and "" where it is
// silent.
DicomFormat described_format(const DicomDataSet& data);

// Throws Error, naming `name`, where it is no picture, or one of a kind that is not read: no rows,
// several frames, floating-point pixels, bits that do not fit, an unusual photometric
// interpretation, a transfer syntax that is not read (by its name).
void check_format(const std::string& name, const DicomDocument& document,
                  const DicomFormat& format);

struct DicomPixels {
  std::vector<double> values;  // (samples, rows, columns): the stored values, signed where they are
  std::string photometric;     // of these values: decoding JPEG may have turned them into RGB
  int64_t bits = 0;            // stored
};

// Of a format that was checked. Throws Error, naming `name`, where pixels are missing or damaged.
DicomPixels stored_pixels(const std::string& name, const DicomDocument& document,
                          const DicomFormat& format);

}  // namespace stylescope
