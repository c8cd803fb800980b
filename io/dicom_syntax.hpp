#pragma once

#include <string>
#include <string_view>

namespace stylescope {

// How a DICOM file's pixels are stored. `native`: as they are, `unsupported`: known, but not read.
enum class DicomCoding { native, rle, jpeg, jpeg_ls, jpeg_2000, unsupported };

// A transfer syntax (DICOM PS3.5, section 10; names as in PS3.6, annex A).
struct DicomSyntax {
  std::string uid;  // "" where it is not in the standard
  std::string name;
  DicomCoding coding = DicomCoding::unsupported;
  bool explicit_vr = true, big_endian = false, deflated = false;
};

// Of a UID, padded or not. One that is not in the standard is called "unknown (1.2.3)", or only
// "unknown" where it is no UID at all.
DicomSyntax dicom_syntax(std::string_view uid);

}  // namespace stylescope
