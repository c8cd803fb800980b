#include "stages/tile/camelyon16.hpp"

#include "io/base/error.hpp"
#include "io/lower_case.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace stylescope {
namespace {

using Role = Camelyon16Slide::Role;
using Use = Camelyon16Erratum::Use;

struct Series {
  Role role;
  std::string_view prefix;
  int64_t last;
};
constexpr std::array<Series, 3> kSeries{
    {{Role::normal, "normal_", 160}, {Role::tumour, "tumor_", 111}, {Role::test, "test_", 130}}};

// Test slides with metastases: the organisers' reference.csv, as FLamby (owkin) and MHIM-MIL
// publish it; both agree.
constexpr std::array<int64_t, 49> kTestTumours{
    1,  2,  4,  8,  10,  11,  13,  16,  21,  26,  27,  29,  30,  33,  38, 40, 46,
    48, 51, 52, 61, 64,  65,  66,  68,  69,  71,  73,  74,  75,  79,  82, 84, 90,
    92, 94, 97, 99, 102, 104, 105, 108, 110, 113, 114, 116, 117, 121, 122};

// The README.md's list of slides whose annotation is not exhaustive; DIDSR's dldp leaves out the
// same ones.
constexpr std::array<int64_t, 20> kPartlyOutlined{10, 15, 18, 20, 25, 29, 33, 34, 44, 46,
                                                  51, 54, 55, 56, 67, 79, 85, 92, 95, 110};

std::string partly_outlined(int64_t number) {
  if (number == 79)
    return "a blurred tumour region is not outlined; it is outside of what is labelled tumour";
  if (number == 92)
    return "a blurred tumour region on the adjacent tissue is not outlined; it is outside of what "
           "is labelled tumour";
  return "not all of its tumour is outlined (most such slides hold two consecutive sections, of "
         "which one is outlined): a tile outside of the outlines may be tumour";
}

std::vector<Camelyon16Erratum> make_errata() {
  std::vector<Camelyon16Erratum> errata;
  errata.push_back({{Role::normal, 86},
                    Use::none,
                    "it holds tumour, was misclassified as normal and is now tumor_111"});
  for (const int64_t number : kPartlyOutlined)
    errata.push_back({{Role::tumour, number}, Use::no_negatives, partly_outlined(number)});
  errata.push_back({{Role::test, 49}, Use::none, "it is a duplicate of another slide"});
  errata.push_back({{Role::test, 114},
                    Use::no_labels,
                    "its tumour is not exhaustively outlined, so that it is fit for no evaluation "
                    "of tiles"});
  return errata;
}

}  // namespace

bool Camelyon16Slide::tumour() const {
  if (role != Role::test) return role == Role::tumour || number == 86;
  return std::find(kTestTumours.begin(), kTestTumours.end(), number) != kTestTumours.end();
}

std::string Camelyon16Slide::name() const {
  for (const auto& series : kSeries) {
    if (series.role != role) continue;
    const std::string digits = std::to_string(number);
    return std::string(series.prefix) +
           std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
  }
  SS_CHECK(false, "no such role");
  return {};
}

std::optional<Camelyon16Slide> camelyon16_slide(const std::string& file) {
  std::string name = file.substr(file.find_last_of("/\\") + 1);
  name = lower_case(name.substr(0, name.find('.')));
  for (const auto& series : kSeries) {
    if (name.rfind(series.prefix, 0) != 0) continue;
    const std::string digits = name.substr(series.prefix.size());
    if (digits.empty() || digits.size() > 3 ||
        !std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); }))
      return std::nullopt;
    const int64_t number = std::stoll(digits);
    if (number < 1 || number > series.last) return std::nullopt;
    return Camelyon16Slide{series.role, number};
  }
  return std::nullopt;
}

const std::vector<Camelyon16Erratum>& camelyon16_errata() {
  static const std::vector<Camelyon16Erratum> errata = make_errata();
  return errata;
}

const Camelyon16Erratum* camelyon16_erratum(const Camelyon16Slide& slide) {
  for (const auto& erratum : camelyon16_errata())
    if (erratum.slide.role == slide.role && erratum.slide.number == slide.number) return &erratum;
  return nullptr;
}

}  // namespace stylescope
