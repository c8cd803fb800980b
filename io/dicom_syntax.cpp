#include "io/dicom_syntax.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace stylescope {
namespace {

struct Known {
  std::string_view last;  // what follows "1.2.840.10008.1.2"
  const char* name;
  DicomCoding coding;
};

using enum DicomCoding;
constexpr std::string_view kRoot = "1.2.840.10008.1.2";
constexpr auto kKnown = std::to_array<Known>({
    {"", "Implicit VR Little Endian", native},
    {".1", "Explicit VR Little Endian", native},
    {".1.98", "Encapsulated Uncompressed Explicit VR Little Endian", unsupported},
    {".1.99", "Deflated Explicit VR Little Endian", native},
    {".2", "Explicit VR Big Endian", native},
    {".4.50", "JPEG Baseline (Process 1)", jpeg},
    {".4.51", "JPEG Extended (Process 2 and 4)", jpeg},
    {".4.52", "JPEG Extended (Process 3 and 5)", unsupported},
    {".4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", unsupported},
    {".4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)", unsupported},
    {".4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", unsupported},
    {".4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)", unsupported},
    {".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", jpeg},
    {".4.58", "JPEG Lossless, Non-Hierarchical (Process 15)", unsupported},
    {".4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14)", jpeg},
    {".4.80", "JPEG-LS Lossless", jpeg_ls},
    {".4.81", "JPEG-LS Lossy (Near-Lossless)", jpeg_ls},
    {".4.90", "JPEG 2000 (Lossless Only)", jpeg_2000},
    {".4.91", "JPEG 2000", jpeg_2000},
    {".4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", unsupported},
    {".4.93", "JPEG 2000 Part 2 Multi-component", unsupported},
    {".4.94", "JPIP Referenced", unsupported},
    {".4.95", "JPIP Referenced Deflate", unsupported},
    {".4.100", "MPEG2 Main Profile / Main Level", unsupported},
    {".4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", unsupported},
    {".4.101", "MPEG2 Main Profile / High Level", unsupported},
    {".4.101.1", "Fragmentable MPEG2 Main Profile / High Level", unsupported},
    {".4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", unsupported},
    {".4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", unsupported},
    {".4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", unsupported},
    {".4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", unsupported},
    {".4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", unsupported},
    {".4.107", "HEVC/H.265 Main Profile / Level 5.1", unsupported},
    {".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", unsupported},
    {".4.110", "JPEG XL Lossless", unsupported},
    {".4.111", "JPEG XL JPEG Recompression", unsupported},
    {".4.112", "JPEG XL", unsupported},
    {".4.201", "High-Throughput JPEG 2000 (Lossless Only)", unsupported},
    {".4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", unsupported},
    {".4.203", "High-Throughput JPEG 2000", unsupported},
    {".4.204", "JPIP HTJ2K Referenced", unsupported},
    {".4.205", "JPIP HTJ2K Referenced Deflate", unsupported},
    {".5", "RLE Lossless", rle},
    {".6.1", "RFC 2557 MIME Encapsulation", unsupported},
});

bool is_uid(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) || c == '.'; });
}

}  // namespace

DicomSyntax dicom_syntax(std::string_view uid) {
  while (!uid.empty() && (uid.back() == '\0' || uid.back() == ' ')) uid.remove_suffix(1);
  DicomSyntax syntax;
  // What is no UID may be anything, a name even: it is not repeated.
  syntax.name = is_uid(uid) ? "unknown (" + std::string(uid) + ")" : "unknown";
  if (!uid.starts_with(kRoot)) return syntax;
  const auto last = uid.substr(kRoot.size());
  const auto known = std::ranges::find(kKnown, last, &Known::last);
  if (known == kKnown.end()) return syntax;
  return {std::string(uid), known->name,  known->coding,
          !last.empty(),    last == ".2", last == ".1.99"};
}

}  // namespace stylescope
