#pragma once

#include "io/dicom_syntax.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The elements of a DICOM file (PS3.5, section 7; PS3.10, section 7). Read here and not by GDCM,
// whose reader ends the whole program on many damaged files (Debian builds it with assertions): it
// only sees streams of compressed pixels. Only what a picture needs is understood; no names of
// people are looked at.
namespace stylescope {

struct DicomEncoding {
  bool explicit_vr = true, big_endian = false;
};

struct DicomElement {
  std::string_view value;  // what of it is there
  std::string_view vr;     // "" where it is implicit
  bool encapsulated = false;
  std::vector<std::string_view> fragments;  // of encapsulated pixels, without the offset table
  DicomEncoding encoding;                   // of its items
};

class DicomDataSet {
 public:
  bool has(uint32_t tag) const { return elements_.contains(tag); }
  const DicomElement* find(uint32_t tag) const;
  // Without the blanks around it; "" where there is none.
  std::string text(uint32_t tag) const;
  // The numbers of a DS or IS element; nothing where one of them is none.
  std::vector<double> decimals(uint32_t tag) const;
  // The words of a US, SS or OW element.
  std::vector<uint16_t> words(uint32_t tag) const;
  std::optional<int64_t> word(uint32_t tag) const;
  // A US or SS that shall be taken as signed or not.
  std::optional<int64_t> word(uint32_t tag, bool is_signed) const;
  // The first item of a sequence. Throws Error where it is damaged.
  std::optional<DicomDataSet> first_item(uint32_t tag) const;

 private:
  friend class DicomWalker;
  std::map<uint32_t, DicomElement> elements_;
  bool big_endian_ = false;
  std::string name_;  // of the file, for errors
};

struct DicomDocument {
  std::shared_ptr<const std::string> content;  // what the elements' values lie in
  DicomSyntax syntax;
  DicomDataSet data;
};

// By its bytes (at least the first 4 KiB, if there are so many): a preamble with "DICM", or without
// one, three elements in the order of their tags that begin as a data set does.
bool looks_like_dicom(std::string_view bytes);

// `with_pixels`: else whatever follows the element before the pixels is left alone, and `bytes` may
// be the beginning of the file. Nothing where the beginning is too short. Throws Error, naming
// `name`, where the file is cut off or damaged. `size`: of the whole file.
std::optional<DicomDocument> parse_dicom(const std::string& name, std::string bytes, uint64_t size,
                                         bool with_pixels);

namespace dicom_tag {
inline constexpr uint32_t transfer_syntax = 0x00020010, study_date = 0x00080020,
                          modality = 0x00080060, patient_id = 0x00100020, body_part = 0x00180015,
                          view_position = 0x00185101, laterality = 0x00200060,
                          image_laterality = 0x00200062, frame_anatomy = 0x00209071,
                          frame_laterality = 0x00209072, samples = 0x00280002,
                          photometric = 0x00280004, planar = 0x00280006, frames = 0x00280008,
                          rows = 0x00280010, columns = 0x00280011, bits_allocated = 0x00280100,
                          bits_stored = 0x00280101, high_bit = 0x00280102,
                          representation = 0x00280103, padding = 0x00280120,
                          padding_limit = 0x00280121, window_center = 0x00281050,
                          window_width = 0x00281051, intercept = 0x00281052, slope = 0x00281053,
                          window_function = 0x00281056, palette = 0x00281101,
                          palette_data = 0x00281201, segmented_palette = 0x00281221,
                          modality_lut = 0x00283000, lut_descriptor = 0x00283002,
                          lut_data = 0x00283006, voi_lut = 0x00283010, frame_voi = 0x00289132,
                          pixel_transformation = 0x00289145, shared_groups = 0x52009229,
                          frame_groups = 0x52009230, float_pixels = 0x7fe00008,
                          double_pixels = 0x7fe00009, pixels = 0x7fe00010;
}  // namespace dicom_tag

}  // namespace stylescope
