#include "stages/audit/image_audit.hpp"

#include "io/atomic_file.hpp"
#include "io/csv.hpp"
#include "io/picture.hpp"
#include "tests/io/faults.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::TempDir;

// 30 different images, ten a split, then copies: 30 (test) of 0 (train), 31 (test) of 10 (val).
class ImageAudit : public testing::Test {
 protected:
  ImageAudit() {
    for (int64_t i = 0; i < 32; ++i) {
      const int64_t of = i == 30 ? 0 : i == 31 ? 10 : i;
      torch::manual_seed(of);
      pixels_.push_back(resize_picture(torch::randint(0, 256, {1, 8, 8}, torch::kUInt8), 32));
      const auto split = i < 30 ? static_cast<Split>(i / 10) : Split::test;
      records_.push_back({i % 2, split, "s" + std::to_string(i), name_of(i), {}});
      prints_.push_back(print_of(pixels_.back()));
    }
  }
  static std::string name_of(int64_t i) { return "p/" + std::to_string(100 + i) + ".png"; }
  AuditOutcome audit(const AuditConfig& config, const std::string& names_file = "") const {
    return audit_images({"my-images", "ingest.audit", records_, labels_, prints_,
                         [this](at::ArrayRef<int64_t> rows) {
                           return pixels_[static_cast<size_t>(rows[0])].unsqueeze(0);
                         },
                         true, names_file},
                        config, dir_.path());
  }
  std::string failure(const AuditConfig& config) const {
    return testing_support::error_of([&] { audit(config); });
  }

  TempDir dir_;
  std::vector<torch::Tensor> pixels_;
  std::vector<ImageRecord> records_;
  std::vector<ImagePrint> prints_;
  const std::vector<std::string> labels_{"healthy", "ill, a little"};
};

TEST_F(ImageAudit, StopsAndSaysWhichWhereAndWhatToSet) {
  const auto text = failure({});
  EXPECT_THAT(text, HasSubstr("my-images: 2 pairs of images of different splits"));
  EXPECT_THAT(text, HasSubstr("p/100.png (train) and p/130.png (test), correlation 1.0000"));
  EXPECT_THAT(text, HasSubstr("p/110.png (val) and p/131.png (test)"));
  EXPECT_THAT(text, HasSubstr((dir_ / "audit.png").string()));
  EXPECT_THAT(text, HasSubstr("set ingest.audit.near_duplicates: drop"));
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_THAT(text, Not(HasSubstr("says which pictures")));
  EXPECT_THAT(testing_support::error_of([&] { audit({}, "runs/my/subject_map.csv"); }),
              HasSubstr("(runs/my/subject_map.csv says which pictures these are)"));
  const auto table = read_csv(dir_ / "audit.csv", {});
  ASSERT_GE(table.rows.size(), 2U);
  EXPECT_EQ(table.rows[0]["near_duplicate"], "yes");
  EXPECT_EQ(table.rows[0]["path_a"], "p/100.png");
  EXPECT_EQ(table.rows[0]["split_b"], "test");
  EXPECT_EQ(table.rows[1]["label_b"], "ill, a little");
  EXPECT_EQ(table.rows[1]["subject_a"], "s10");
  EXPECT_EQ(table.rows[0]["distance"], "0");
  EXPECT_EQ(table.rows[0]["left_out"], "");
  for (size_t i = 2; i < table.rows.size(); ++i) EXPECT_EQ(table.rows[i]["near_duplicate"], "no");
  // The first pair, side by side: both halves are the same.
  const auto picture = read_picture(dir_ / "audit.png", 1);
  const auto a = picture.slice(1, 14, 14 + 128).slice(2, 14, 14 + 128);
  EXPECT_TRUE(a.equal(picture.slice(1, 14, 14 + 128).slice(2, 144, 144 + 128)));
  EXPECT_TRUE(a[0][0][0].equal(pixels_[0][0][0][0]));
}

TEST_F(ImageAudit, DropLeavesTheTrainingImageOutThenTheOneOfVal) {
  AuditConfig config;
  config.near_duplicates = "drop";
  const auto outcome = audit(config);
  EXPECT_EQ(outcome.left_out, (std::vector<int64_t>{0, 10}));
  EXPECT_EQ(outcome.metrics.at("near_duplicates"), 2);
  EXPECT_EQ(outcome.metrics.at("near_duplicates_left_out"), 2);
  EXPECT_EQ(read_csv(dir_ / "audit.csv", {}).rows[1]["left_out"], "p/110.png");
}

TEST_F(ImageAudit, WarnKeepsThemAndOffDoesNotLook) {
  AuditConfig config;
  config.near_duplicates = "warn";
  const auto warned = audit(config);
  EXPECT_TRUE(warned.left_out.empty());
  EXPECT_EQ(warned.metrics.at("near_duplicates"), 2);
  fs::remove(dir_ / "audit.csv");
  config.near_duplicates = "off";
  EXPECT_TRUE(audit(config).metrics.empty());
  EXPECT_FALSE(fs::exists(dir_ / "audit.csv"));
}

TEST_F(ImageAudit, NothingAlikeLeavesAnEmptyListAndNoStalePicture) {
  EXPECT_NE(failure({}), "");
  EXPECT_TRUE(fs::exists(dir_ / "audit.png"));
  AuditConfig config;
  config.max_distance = 0;
  config.orientations = "same";
  for (auto& record : records_) record.split = Split::train;
  EXPECT_EQ(audit(config).metrics.at("near_duplicates"), 0);
  EXPECT_EQ(read_csv(dir_ / "audit.csv", {}).rows.size(), 0U);
  EXPECT_FALSE(fs::exists(dir_ / "audit.png"));
}

}  // namespace
}  // namespace stylescope
