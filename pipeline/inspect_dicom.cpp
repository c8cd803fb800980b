#include "io/dicom.hpp"
#include "pipeline/inspect.hpp"

namespace stylescope {

// What says how the picture is stored; who is in it, and when it was taken, is nobody's affair
// here.
Inspection inspect_dicom(const std::filesystem::path& file) {
  const auto header = read_dicom_header(file);
  Inspection result{{"kind", "DICOM"},
                    {"transfer_syntax", header.transfer_syntax},
                    {"modality", header.modality},
                    {"width", header.columns},
                    {"height", header.rows},
                    {"frames", header.frames},
                    {"bits", header.bits_stored},
                    {"photometric", header.photometric},
                    {"laterality", header.laterality}};
  if (header.rows == 0) result["picture"] = "none";
  return result;
}

}  // namespace stylescope
