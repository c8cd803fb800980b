#include "stages/ingest/label_order.hpp"
#include "stages/ingest/table_columns.hpp"
#include "stages/ingest/table_rows.hpp"
#include "tests/stages/ingest/table_fixture.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::TableFixture;

TEST(Table, ReadsPicturesLabelsAndAttributes) {
  TableFixture f;
  f.rows(20);
  std::string text = "path,label,subject,centre,age,bmi,scanner\n";
  for (int i = 0; i < 20; ++i) {
    const std::string id = std::to_string(100 + i);
    text += "p" + id + ".png," + std::to_string(i % 2) + "," + id + ",";
    text += i == 0    ? "north,61.5,NA,\n"
            : i == 19 ? "north,,25,A\n"
                      : "south," + std::to_string(50 + i) + ",25,B\n";
  }
  const auto metrics = f.run(f.table(text));
  EXPECT_EQ(metrics["images"], 20);
  EXPECT_EQ(metrics["bad_files"], 0);
  EXPECT_EQ(metrics["train_subjects"], 14);
  const auto set = f.images();
  EXPECT_THAT(set.label_names(), ElementsAre("0", "1"));
  EXPECT_EQ(set.record(0).path, "p100.png");
  EXPECT_EQ(set.record(1).label, 1);
  EXPECT_EQ(set.record(3).subject, "103");
  EXPECT_TRUE((set.read({7}) == 14).all().item<bool>());
  EXPECT_EQ(set.record(0).attributes.at("age"), 61.5);
  EXPECT_EQ(set.record(1).attributes.at("age"), 51);
  EXPECT_TRUE(std::isnan(set.record(19).attributes.at("age")));
  EXPECT_TRUE(std::isnan(set.record(0).attributes.at("bmi")));
  EXPECT_TRUE(set.value_names("age").empty());
  EXPECT_THAT(set.value_names("scanner"), ElementsAre("A", "B"));
  EXPECT_EQ(set.text(0, "scanner"), "");
  EXPECT_EQ(set.text(19, "scanner"), "A");
  EXPECT_EQ(set.text(5, "centre"), "south");
  EXPECT_THROW(set.text(0, "age"), Error);
}

TEST(Table, SemicolonsDecimalCommasByteOrderMarkAndAnotherFolder) {
  TableFixture f;
  f.rows(20);
  std::string text = "\xEF\xBB\xBFpath;label;subject;joint_width\r\n";
  for (int i = 0; i < 20; ++i)
    text += "p" + std::to_string(100 + i) + ".png;" + (i % 2 ? "schmal" : "weit") + ";" +
            std::to_string(i) + ";" + std::to_string(i) + ",5\r\n";
  auto config = f.table(text);
  config.class_names = {"weit", "schmal"};
  std::filesystem::rename(f.file("films.csv"), f.dir / "films.csv");
  config.table.file = (f.dir / "films.csv").string();
  config.path = f.pictures().string();
  f.run(config);
  EXPECT_THAT(f.images().label_names(), ElementsAre("weit", "schmal"));
  EXPECT_EQ(f.images().record(3).attributes.at("joint_width"), 3.5);
  config.table.separator = "comma";
  EXPECT_THAT(f.failure(config, "other"), HasSubstr("its fields are separated by ';'"));
}

TEST(Table, TakesTheSplitOfItsColumn) {
  TableFixture f;
  f.rows(40);
  std::string text = "path,label,subject,split\n";
  for (int i = 0; i < 40; ++i)
    text += "p" + std::to_string(100 + i) + ".png," + std::to_string(i % 2) + "," +
            std::to_string(i / 4) + "," + (i < 20 ? "train" : "val") + "\n";
  auto config = f.table(text);
  EXPECT_THAT(f.failure(config),
              AllOf(HasSubstr("films.csv:1: has a column 'split'"), HasSubstr("set mode: table")));
  config.split.mode = "table";
  EXPECT_THAT(f.failure(config), HasSubstr("films.csv: has no rows of split test"));
  config.split.halve_val = true;
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["train_images"], 20);
  EXPECT_EQ(metrics["val_subjects"].get<int>() + metrics["test_subjects"].get<int>(), 5);

  config = f.table(text + "p100.png,1,77,test\n");
  config.split.mode = "table";
  EXPECT_THAT(f.failure(config), HasSubstr("films.csv:42: names the same picture as"));
  f.add("extra.png");
  const auto with = [&](const std::string& row) {
    auto c = f.table(text + row);
    c.split.mode = "table";
    return f.failure(c, "more");
  };
  EXPECT_THAT(with("extra.png,1,3,test\n"),
              AllOf(HasSubstr("films.csv:42: this subject is in split test, and in split train by"),
                    HasSubstr("films.csv:14")));
  EXPECT_THAT(with("extra.png,1,77,tset\n"),
              AllOf(HasSubstr("films.csv:42: split 'tset' is none of train, val, test"),
                    HasSubstr("did you mean 'test'?")));
  config = f.table(text + "extra.png,1,77,test\n");
  config.split.mode = "table";
  config.split.halve_val = true;
  EXPECT_THAT(f.failure(config, "more"), HasSubstr("set halve_val: false"));
}

TEST(Table, ErrorsNameFileAndLine) {
  TableFixture f;
  const auto rows = f.rows(20);
  const std::string header = "path,label,subject\n";
  const auto says = [&](const std::string& text) { return f.failure(f.table(text), "failed"); };
  EXPECT_THAT(
      says("path,labl,subject\n" + rows),
      AllOf(HasSubstr("films.csv:1: has no column 'label'"), HasSubstr("did you mean 'labl'?")));
  EXPECT_THAT(
      says(header + rows + "./p103.png,0,103\n"),
      AllOf(HasSubstr("films.csv:22: names the same picture as"), HasSubstr("films.csv:5")));
  auto config = f.table(header + rows);
  config.class_names = {"0", "2"};
  EXPECT_THAT(f.failure(config, "failed"),
              HasSubstr("films.csv:3: label '1' is not in ingest.class_names"));
  config.class_names = {"0", "1", "2"};
  EXPECT_THAT(f.failure(config, "failed"), HasSubstr("label '2' has no images"));
  EXPECT_THAT(says(""), HasSubstr("films.csv: is empty"));
  EXPECT_THAT(says(header), HasSubstr("films.csv: names its columns and has no rows"));
  EXPECT_THAT(says(header + rows + "p.png,1\n"),
              HasSubstr("films.csv:22: has 2 fields for 3 columns"));
  EXPECT_THAT(says(header + rows + "p.png,1,2,3\n"),
              HasSubstr("films.csv:22: has 4 fields for 3 columns"));
  EXPECT_THAT(says(header + rows + "p101.png,,2\n"), HasSubstr("films.csv:22: field 'label'"));
  EXPECT_THAT(says(header + rows + "x.png,1,\n"),
              HasSubstr("films.csv:22: field 'subject' is empty"));
  EXPECT_THAT(says("path,label,subject,\n" + f.rows(20, ",")), HasSubstr("column 4 has no name"));
  EXPECT_THAT(says(header + rows + "Kn\xF6tchen.png,1,7\n"),
              AllOf(HasSubstr("films.csv:22: is not UTF-8"), HasSubstr("Latin-1")));
  EXPECT_THAT(says(std::string("\xFF\xFEp\0a\0t\0h\0", 10)), HasSubstr("is UTF-16 text"));
  EXPECT_THAT(says(std::string("p\0a\0t\0h\0", 8)), HasSubstr("holds a zero byte"));
  EXPECT_THAT(says("path,label,side,subject\nq.png,1,X,2\n"),
              HasSubstr("films.csv:2: side 'X' is neither L nor R"));
  EXPECT_THAT(says("path,label,subject,visit_months\nq.png,1,2,a year\n"),
              HasSubstr("films.csv:2: visit_months 'a year' is no whole number"));
  EXPECT_THAT(says("path,label\np100.png,1\n"), HasSubstr("has only one label, '1'"));
  config = f.table(header + rows);
  config.table.file += ".gone";
  EXPECT_THAT(f.failure(config, "failed"), HasSubstr("films.csv.gone: cannot read"));
}

TEST(Table, AFileThatIsNotThereIsABadFile) {
  TableFixture f;
  auto config = f.table("path,label,subject\n" + f.rows(99) + "gone.png,1,7\n");
  f.add_bytes("p110.png", "no picture");
  config.max_bad_fraction = 0.02;
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["bad_files"], 2);
  EXPECT_EQ(metrics["images"], 98);
  EXPECT_THAT(f.text_of("ingest/bad_files.csv"),
              AllOf(HasSubstr("gone.png,is not there"), HasSubstr("p110.png,")));
  config.path = f.dir.path().string();
  EXPECT_THAT(f.failure(config, "nowhere"), HasSubstr("100 of 100 pictures cannot be used (100 %"));
}

TEST(Table, TheSubjectIsTheColumnsOrTheFileNames) {
  TableFixture f;
  std::string text = "path,label\n";
  for (int i = 0; i < 20; ++i) {
    const auto name = std::to_string(9000 + i / 2) + (i % 2 ? "L" : "R") + ".png";
    f.add(name, i);
    text += name + "," + std::to_string(i / 2 % 2) + "\n";
  }
  auto config = f.table(text);
  config.subject_regex = "([0-9]+)[LR]";
  EXPECT_EQ(f.run(config)["train_subjects"], 7);
  EXPECT_EQ(f.images().record(3).subject, "9001");
  config.subject_regex = "";
  f.run(config, "plain");
  EXPECT_EQ(f.images("plain").record(3).subject, "9001L");
}

TEST(Table, ColumnsThatTellWhoSomeoneIsAreRefused) {
  for (const auto* name : {"patient_name",
                           "Name",
                           "PatientBirthDate",
                           "birthdate",
                           "dob",
                           "AccessionNumber",
                           "mrn",
                           "patient",
                           "lastname",
                           "study-date",
                           "id",
                           "SUBJID",
                           "subjectid",
                           "patid",
                           "PATNO",
                           "caseid",
                           "studyuid",
                           "studydate",
                           "examdate",
                           "V00XRDATE",
                           "barcode",
                           "hospitalnumber",
                           "mrn1",
                           "PatNr",
                           "case_no",
                           "StudyOID",
                           "ids",
                           "V00XRDATE_2",
                           "subject_2"})
    EXPECT_TRUE(looks_personal(name)) << name;
  for (const auto* name : {"age",
                           "sex",
                           "bmi",
                           "PatientAge",
                           "patient_sex",
                           "joint_width",
                           "tournament",
                           "kl_grade",
                           "manufacturer",
                           "kvp",
                           "side",
                           "centre",
                           "thyroid",
                           "covid",
                           "steroids",
                           "INR",
                           "no_of_lesions",
                           "num_lesions",
                           "number_of_screws",
                           "mid",
                           "kl_grade_2",
                           "osteophytes",
                           "V00NSAIDS",
                           "subject_age",
                           "subjective_pain"})
    EXPECT_FALSE(looks_personal(name)) << name;

  TableFixture f;
  const std::string text = "path,label,subject,patient_name,age\n" + f.rows(20, ",Doe,50");
  auto config = f.table(text);
  EXPECT_THAT(f.failure(config), AllOf(HasSubstr("films.csv:1: column 'patient_name' looks like"),
                                       HasSubstr("ingest.table.attributes")));
  config.table.attributes = {"agee"};
  EXPECT_THAT(f.failure(config),
              AllOf(HasSubstr("has no column 'agee'"), HasSubstr("did you mean 'age'?")));
  config.table.attributes = {"age"};
  f.run(config);
  EXPECT_EQ(f.images().record(0).attributes.size(), 1);
  EXPECT_EQ(f.images().record(0).attributes.at("age"), 50);

  std::string remarks = "path,label,subject,finding\n";
  for (int i = 0; i < 60; ++i)
    remarks += "p" + std::to_string(i) + ".png,0,1,finding " + std::to_string(i) + "\n";
  EXPECT_THAT(f.failure(f.table(remarks), "remarks"),
              HasSubstr("column 'finding' holds 60 different texts in 60 rows"));
  for (const std::string date : {"20010203", "2001-02-03", "3.2.2001"})
    EXPECT_THAT(f.failure(f.table("path,label,subject,seen\n" + f.rows(20, "," + date)), "dates"),
                HasSubstr("column 'seen' holds dates"))
        << date;
  EXPECT_EQ(f.failure(f.table("path,label,subject,area\n" + f.rows(20, ",20019203")), "area"), "");
  EXPECT_THAT(f.failure(f.table("path,label,subject,a/b\np100.png,0,1,2\n"), "slash"),
              HasSubstr("column 'a/b' cannot be an attribute's name"));
}

TEST(Table, TheFingerprintFollowsTableAndPictures) {
  TableFixture f;
  const std::string text = "path,label,subject\n" + f.rows(4);
  const auto config = f.table(text);
  const auto before = ingest_fingerprint(config);
  EXPECT_EQ(before, ingest_fingerprint(config));
  f.add("p100.png", 9, 25);
  const auto other_picture = ingest_fingerprint(config);
  EXPECT_NE(before, other_picture);
  f.table(text + "gone.png,1,7\n");
  const auto other_table = ingest_fingerprint(config);
  EXPECT_NE(other_picture, other_table);
  // Damaged is not unchanged, and only what is gone has no fingerprint.
  f.table(text + "gone.png,1\n");
  EXPECT_NE(other_table, ingest_fingerprint(config));
  std::filesystem::remove(f.file("films.csv"));
  EXPECT_THROW(ingest_fingerprint(config), Error);
}

TEST(Table, LabelsWithoutAnOrderAreNumbersAndThenNames) {
  std::vector<std::string> labels{"b", "10", "1a", "2", "02", "1", "a", "B"};
  for (int i = 0; i < 20; ++i) {
    std::rotate(labels.begin(), labels.begin() + 3, labels.end());
    auto sorted = labels;
    std::sort(sorted.begin(), sorted.end(), label_before);
    EXPECT_THAT(sorted, ElementsAre("1", "02", "2", "10", "1a", "B", "a", "b"));
  }
}

TEST(Table, ConfigurationsThatDoNotFit) {
  const auto says = [](auto change) -> std::string {
    IngestConfig config;
    config.source = "table";
    config.table.file = "films.csv";
    change(config);
    try {
      config.check();
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(says([](IngestConfig&) {}), "");
  EXPECT_THAT(says([](auto& c) { c.table.file = ""; }), HasSubstr("ingest.table.file"));
  EXPECT_THAT(says([](auto& c) { c.source = "phantom"; }), HasSubstr("ingest.table.file"));
  EXPECT_THAT(says([](auto& c) { c.split.mode = "folders"; }), HasSubstr("ingest.split.mode"));
  EXPECT_THAT(says([](auto& c) {
                c.source = "folder", c.table.file = "", c.path = "x", c.split.mode = "table";
              }),
              HasSubstr("ingest.split.mode: table"));
  EXPECT_THAT(says([](auto& c) {
                c.source = "folder", c.table.file = "", c.path = "x", c.knees.bilateral = "split";
              }),
              HasSubstr("ingest.knees.bilateral"));
  EXPECT_THAT(says([](auto& c) { c.knees.bilateral = "boxes"; }), HasSubstr("ingest.knees.boxes"));
  EXPECT_THAT(says([](auto& c) { c.knees.side_regex = "("; }), HasSubstr("side_regex"));
  EXPECT_THAT(says([](auto& c) { c.knees.readings.visits = {0}; }), HasSubstr("visits"));
  EXPECT_THAT(says([](auto& c) { c.knees.readings.duplicates = "preferred"; }),
              HasSubstr("readers"));
  EXPECT_THAT(says([](auto& c) { c.knees.right_code = "1", c.knees.left_code = "1"; }),
              HasSubstr("left_code"));
  EXPECT_THAT(says([](auto& c) { c.keep_ids = true, c.id_key_file = "key"; }),
              HasSubstr("ingest.id_key_file"));
}

}  // namespace
}  // namespace stylescope
