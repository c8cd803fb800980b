#pragma once

#include "tests/io/faults.hpp"

#include <cstdint>
#include <filesystem>
#include <gdcmDataSet.h>
#include <gdcmImageChangeTransferSyntax.h>
#include <gdcmImageReader.h>
#include <gdcmImageWriter.h>
#include <gdcmSequenceOfItems.h>
#include <gdcmTrace.h>
#include <gdcmWriter.h>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope::testing_support {

// A small DICOM file, made and compressed by GDCM.
class DicomFile {
 public:
  DicomFile() {
    text(0x00080016, gdcm::VR::UI, "1.2.840.10008.5.1.4.1.1.7");
    text(0x00080018, gdcm::VR::UI, "1.2.3.4.5");
  }
  // An item of a sequence, with nothing in it.
  static DicomFile item() { return DicomFile(0); }

  DicomFile& bytes(uint32_t tag, gdcm::VR vr, std::string value) {
    if (value.size() % 2) value += vr == gdcm::VR::UI || vr == gdcm::VR::OB ? '\0' : ' ';
    gdcm::DataElement element(gdcm::Tag(tag >> 16, tag & 0xffff));
    element.SetVR(vr);
    element.SetByteValue(value.data(), static_cast<uint32_t>(value.size()));
    data_.Replace(element);
    return *this;
  }
  DicomFile& text(uint32_t tag, gdcm::VR vr, const std::string& value) {
    return bytes(tag, vr, value);
  }
  DicomFile& words(uint32_t tag, const std::vector<uint16_t>& values, gdcm::VR vr = gdcm::VR::US) {
    return bytes(tag, vr, {reinterpret_cast<const char*>(values.data()), 2 * values.size()});
  }
  DicomFile& sequence(uint32_t tag, const DicomFile& one) {
    gdcm::SmartPointer<gdcm::SequenceOfItems> items = new gdcm::SequenceOfItems;
    items->SetLengthToUndefined();
    gdcm::Item item;
    item.SetVLToUndefined();
    item.GetNestedDataSet() = one.data_;
    items->AddItem(item);
    gdcm::DataElement element(gdcm::Tag(tag >> 16, tag & 0xffff));
    element.SetVR(gdcm::VR::SQ);
    element.SetValue(*items);
    element.SetVLToUndefined();
    data_.Replace(element);
    return *this;
  }
  DicomFile& without(uint32_t tag) {
    data_.Remove(gdcm::Tag(tag >> 16, tag & 0xffff));
    return *this;
  }

  // Grey of 16 bits, `stored` of them in use.
  DicomFile& grey(uint16_t rows, uint16_t columns, const std::vector<uint16_t>& values,
                  uint16_t stored = 16, bool is_signed = false) {
    shape(rows, columns, 1, 16, stored, "MONOCHROME2");
    words(0x00280103, {is_signed});
    return words(0x7fe00010, values, gdcm::VR::OW);
  }
  // Colour of 8 bits, interleaved.
  DicomFile& color(uint16_t rows, uint16_t columns, const std::string& values,
                   const std::string& photometric = "RGB") {
    shape(rows, columns, 3, 8, 8, photometric);
    words(0x00280006, {0});
    return bytes(0x7fe00010, gdcm::VR::OB, values);
  }
  DicomFile& shape(uint16_t rows, uint16_t columns, uint16_t samples, uint16_t allocated,
                   uint16_t stored, const std::string& photometric) {
    words(0x00280002, {samples});
    text(0x00280004, gdcm::VR::CS, photometric);
    words(0x00280010, {rows});
    words(0x00280011, {columns});
    words(0x00280100, {allocated});
    words(0x00280101, {stored});
    words(0x00280102, {static_cast<uint16_t>(stored - 1)});
    return words(0x00280103, {0});
  }
  DicomFile& window(const std::string& center, const std::string& width,
                    const std::string& function = "") {
    text(0x00281050, gdcm::VR::DS, center);
    text(0x00281051, gdcm::VR::DS, width);
    return function.empty() ? *this : text(0x00281056, gdcm::VR::CS, function);
  }

  void write(
      const std::filesystem::path& file,
      gdcm::TransferSyntax::TSType syntax = gdcm::TransferSyntax::ExplicitVRLittleEndian) const {
    gdcm::Writer writer;
    writer.SetFileName(file.c_str());
    writer.GetFile().GetHeader().SetDataSetTransferSyntax(syntax);
    writer.GetFile().SetDataSet(data_);
    ASSERT_TRUE(writer.Write());
  }
  // The same compressed.
  void write_compressed(const std::filesystem::path& file,
                        gdcm::TransferSyntax::TSType syntax) const {
    const std::filesystem::path plain = file.string() + ".plain";
    write(plain);
    gdcm::Trace::WarningOff();
    gdcm::Trace::ErrorOff();
    gdcm::ImageReader reader;
    reader.SetFileName(plain.c_str());
    ASSERT_TRUE(reader.Read());
    gdcm::ImageChangeTransferSyntax change;
    change.SetTransferSyntax(syntax);
    change.SetInput(reader.GetImage());
    ASSERT_TRUE(change.Change());
    gdcm::ImageWriter writer;
    writer.SetFileName(file.c_str());
    writer.SetFile(reader.GetFile());
    writer.SetImage(change.GetOutput());
    ASSERT_TRUE(writer.Write());
    gdcm::Trace::WarningOn();
    gdcm::Trace::ErrorOn();
    std::filesystem::remove(plain);
  }

 private:
  explicit DicomFile(int) {}
  gdcm::DataSet data_;
};

}  // namespace stylescope::testing_support
