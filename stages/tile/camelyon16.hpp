#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What is known of Camelyon16's slides by their names alone (Bejnordi et al. 2017, "Diagnostic
// assessment of deep learning algorithms for detection of lymph node metastases in women with
// breast cancer"; the errata are those of the README.md that its organisers publish with the data).
//
// Files: normal_001..160 without 086 (159), tumor_001..111 (111), test_001..130 without 049 (129):
// 399. The challenge of 2016 had normal_086 (160 and 110) and test_049 (130) as well. Of the test
// slides 49 hold tumour.
//
// The data set names no patients: every slide stands for its own.
namespace stylescope {

struct Camelyon16Slide {
  enum class Role { normal, tumour, test };
  Role role = Role::normal;
  int64_t number = 0;  // 1..160, 1..111, 1..130

  // Official split: test_* is the test set; all others are for training and validation.
  bool test() const { return role == Role::test; }
  // Does the slide hold tumour? For test slides by the organisers' reference.csv.
  bool tumour() const;
  std::string name() const;  // "normal_001", "tumor_001", "test_001"
  // ASAP groups mark where the tumour is only if the slide has an outline file of this name.
  std::string outline_file() const { return name() + ".xml"; }
};

// By the last part of a path, whatever the ending and upper or lower case ("Tumor_001.tif",
// "normal_86.xml"). Nothing for a name that is none of Camelyon16's.
std::optional<Camelyon16Slide> camelyon16_slide(const std::string& file);

struct Camelyon16Erratum {
  enum class Use {
    none,         // leave the slide out
    no_labels,    // labels of its tiles cannot be trusted: leave it out wherever they are needed
    no_negatives  // tiles within its outlines are tumour, those outside may be, too
  };
  Camelyon16Slide slide;
  Use use = Use::none;
  std::string reason;  // a sentence for the log
};

// All of them, in the order of roles and numbers.
const std::vector<Camelyon16Erratum>& camelyon16_errata();
// Nothing when the slide has none. The pointer stays valid.
const Camelyon16Erratum* camelyon16_erratum(const Camelyon16Slide& slide);

}  // namespace stylescope
