#pragma once

#include "io/dicom_data_set.hpp"
#include "io/dicom_display.hpp"
#include "io/dicom_pixels.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// How a data set wants its pixels to be shown. All throw Error, naming `name`, for what is damaged.
namespace stylescope {

// Rescale or modality table, the first VOI table and window, padding. Where an enhanced object
// keeps them with its frames, those of the first. A window of no width counts as none.
DicomDisplay display_of(const std::string& name, const DicomDataSet& data,
                        const DicomFormat& format);

// Red, green, blue of PALETTE COLOR; segmented tables (PS3.3, C.7.9.2) are put together.
std::vector<DicomLut> palette_of(const std::string& name, const DicomDataSet& data,
                                 const DicomFormat& format);

// The first item of a sequence among the functional groups: shared by the frames, or the first's.
std::optional<DicomDataSet> frame_item(const DicomDataSet& data, uint32_t sequence);

}  // namespace stylescope
