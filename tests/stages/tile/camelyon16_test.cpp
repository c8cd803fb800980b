#include "stages/tile/camelyon16.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using Role = Camelyon16Slide::Role;
using Use = Camelyon16Erratum::Use;

std::vector<Camelyon16Slide> all_slides() {
  std::vector<Camelyon16Slide> slides;
  for (int64_t i = 1; i <= 160; ++i) slides.push_back({Role::normal, i});
  for (int64_t i = 1; i <= 111; ++i) slides.push_back({Role::tumour, i});
  for (int64_t i = 1; i <= 130; ++i) slides.push_back({Role::test, i});
  return slides;
}

TEST(Camelyon16, ReadsNames) {
  const auto tumour = camelyon16_slide("slides/training/Tumor_009.tif");
  ASSERT_TRUE(tumour);
  EXPECT_EQ(tumour->role, Role::tumour);
  EXPECT_EQ(tumour->number, 9);
  EXPECT_EQ(tumour->name(), "tumor_009");
  EXPECT_EQ(tumour->outline_file(), "tumor_009.xml");
  const auto normal = camelyon16_slide("normal_86.xml");
  ASSERT_TRUE(normal);
  EXPECT_EQ(normal->name(), "normal_086");
  const auto test = camelyon16_slide("test_130");
  ASSERT_TRUE(test);
  EXPECT_EQ(test->role, Role::test);
  EXPECT_TRUE(test->test());
  EXPECT_FALSE(tumour->test());
}

TEST(Camelyon16, EveryNameReadsBack) {
  for (const auto& slide : all_slides()) {
    const auto read = camelyon16_slide(slide.name() + ".tif");
    ASSERT_TRUE(read) << slide.name();
    EXPECT_EQ(read->role, slide.role);
    EXPECT_EQ(read->number, slide.number);
  }
}

TEST(Camelyon16, LeavesOtherNamesAlone) {
  for (const char* name :
       {"", "tumor", "tumor_", "tumor_000.tif", "tumor_112.tif", "normal_161.tif", "test_131.tif",
        "test_1a.tif", "tumor_-01.tif", "tumor_0001.tif", "patient_001_node_1.tif",
        "my_test_001.tif", "tumor_001_mask.tif"})
    EXPECT_FALSE(camelyon16_slide(name)) << name;
}

TEST(Camelyon16, LeavesTheOfficialCounts) {
  std::map<Role, int64_t> kept;
  int64_t test_tumours = 0;
  for (const auto& slide : all_slides()) {
    const auto* erratum = camelyon16_erratum(slide);
    if (erratum && erratum->use == Use::none) continue;
    ++kept[slide.role];
    test_tumours += slide.test() && slide.tumour();
    if (!slide.test()) {
      EXPECT_EQ(slide.tumour(), slide.role == Role::tumour) << slide.name();
    }
  }
  EXPECT_EQ(kept[Role::normal], 159);
  EXPECT_EQ(kept[Role::tumour], 111);
  EXPECT_EQ(kept[Role::test], 129);
  EXPECT_EQ(test_tumours, 49);
}

TEST(Camelyon16, NamesTheErrataWithTheirReasons) {
  const auto use = [](const char* name) { return camelyon16_erratum(*camelyon16_slide(name)); };
  ASSERT_TRUE(use("normal_086"));
  EXPECT_EQ(use("normal_086")->use, Use::none);
  EXPECT_NE(use("normal_086")->reason.find("tumor_111"), std::string::npos);
  ASSERT_TRUE(use("test_049"));
  EXPECT_EQ(use("test_049")->use, Use::none);
  EXPECT_NE(use("test_049")->reason.find("duplicate"), std::string::npos);
  ASSERT_TRUE(use("test_114"));
  EXPECT_EQ(use("test_114")->use, Use::no_labels);
  EXPECT_FALSE(use("tumor_111"));
  EXPECT_FALSE(use("tumor_001"));
  std::set<std::string> names;
  int64_t partly = 0;
  for (const auto& erratum : camelyon16_errata()) {
    EXPECT_TRUE(names.insert(erratum.slide.name()).second);
    EXPECT_FALSE(erratum.reason.empty());
    partly += erratum.use == Use::no_negatives;
    if (erratum.use == Use::no_negatives) {
      EXPECT_EQ(erratum.slide.role, Role::tumour);
    }
  }
  EXPECT_EQ(partly, 20);
  EXPECT_EQ(names.size(), 23U);
}

TEST(Camelyon16, KnowsTheTumoursOfTheTestSet) {
  for (const char* name :
       {"test_001", "test_090", "test_114", "test_122", "normal_086", "tumor_111"})
    EXPECT_TRUE(camelyon16_slide(name)->tumour()) << name;
  for (const char* name : {"test_003", "test_124", "test_130", "normal_001"})
    EXPECT_FALSE(camelyon16_slide(name)->tumour()) << name;
}

}  // namespace
}  // namespace stylescope
