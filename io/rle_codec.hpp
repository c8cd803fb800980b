#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stylescope {

// DICOM's RLE (PS3.5, annex G): `segments` of `length` bytes each, one after another. GDCM's own
// decoder reads beyond the end of damaged ones. Throws Error, naming `name`.
std::string decode_dicom_rle(const std::string& name, std::string_view stream, size_t length,
                             size_t segments);

}  // namespace stylescope
