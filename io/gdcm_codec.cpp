#include "io/gdcm_codec.hpp"

#include "io/base/error.hpp"
#include "io/captured_stderr.hpp"
#include "io/log.hpp"

#include <exception>
#include <gdcmImage.h>
#include <gdcmSequenceOfFragments.h>

namespace stylescope {
namespace {

gdcm::Image image_of(const CompressedPixels& pixels) {
  const auto bits = static_cast<unsigned short>(pixels.precision);
  gdcm::Image image;
  image.SetTransferSyntax(gdcm::TransferSyntax::GetTSType(pixels.syntax.c_str()));
  image.SetNumberOfDimensions(2);
  image.SetDimension(0, static_cast<unsigned>(pixels.columns));
  image.SetDimension(1, static_cast<unsigned>(pixels.rows));
  image.SetPixelFormat(gdcm::PixelFormat(
      static_cast<unsigned short>(pixels.samples), bits > 8 ? 16 : 8, bits,
      static_cast<unsigned short>(bits - 1), static_cast<unsigned short>(pixels.is_signed)));
  image.SetPhotometricInterpretation(pixels.samples == 1
                                         ? gdcm::PhotometricInterpretation::MONOCHROME2
                                         : gdcm::PhotometricInterpretation::RGB);
  image.SetPlanarConfiguration(0);
  gdcm::SmartPointer<gdcm::SequenceOfFragments> fragments = new gdcm::SequenceOfFragments;
  gdcm::Fragment fragment;
  fragment.SetByteValue(pixels.stream.data(), static_cast<uint32_t>(pixels.stream.size()));
  fragments->AddFragment(fragment);
  gdcm::DataElement element(gdcm::Tag(0x7fe0, 0x0010));
  element.SetVR(gdcm::VR::OB);
  element.SetValue(*fragments);
  image.SetDataElement(element);
  return image;
}

// GDCM prints errors, and then says that all went well; libjpeg fills up what it cannot decode.
bool says_damaged(std::string message) {
  // The pixels of such a stream are whole.
  constexpr std::string_view kHarmless =
      "Error: EVIL file, it is declared as lossless but is in fact lossy.";
  if (const size_t at = message.find(kHarmless); at != std::string::npos)
    message.erase(at, kHarmless.size());
  for (const char* words : {"Error:", "Corrupt JPEG data", "Premature end"})
    if (message.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace

std::string decode_compressed(const std::string& name, const CompressedPixels& pixels) {
  const size_t needed = static_cast<size_t>(pixels.rows * pixels.columns * pixels.samples) *
                        (pixels.precision > 8 ? 2 : 1);
  std::string bytes, message, failure;
  bool decoded = false, fits = false;
  {
    CapturedStderr captured;
    try {
      const gdcm::Image image = image_of(pixels);
      fits = image.GetBufferLength() == needed;
      bytes.resize(needed);
      decoded = fits && image.GetBuffer(bytes.data());
    } catch (const std::exception& error) {
      failure = error.what();
    }
    message = captured.restore();
  }
  if (message.empty()) message = failure;
  const std::string words = message.empty() ? "" : " (GDCM: " + message + ")";
  validate(decoded && !says_damaged(message), name, ": its compressed pixels are damaged", words,
           "; copy or export it again");
  if (!message.empty()) log::debug("{}: GDCM: {}", name, message);
  return bytes;
}

}  // namespace stylescope
