#include "stages/ingest/knee_side.hpp"
#include "stages/ingest/readings.hpp"
#include "tests/stages/ingest/table_fixture.hpp"

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::TableFixture;

TEST(KneeSide, IsReadFromWordsAndCodes) {
  KneesConfig knees;
  EXPECT_EQ(side_from("R", knees), Side::right);
  EXPECT_EQ(side_from("left", knees), Side::left);
  EXPECT_EQ(side_from("1", knees), std::nullopt);
  knees.right_code = "1", knees.left_code = "2";
  EXPECT_EQ(side_from("1", knees), Side::right);
  EXPECT_EQ(side_from("1: Right", knees), Side::right);
  EXPECT_EQ(side_from("2.0", knees), Side::left);
  EXPECT_EQ(side_from(".: Missing", knees), std::nullopt);
  EXPECT_EQ(code_of("3: Moderate"), "3");
  EXPECT_EQ(code_of(".A: Not expected"), "");
  EXPECT_EQ(code_of("mild: both"), "mild: both");
  EXPECT_EQ(side_in_name("a/9001695L.jpg", knees), std::nullopt);
  knees.side_regex = "[0-9]([LR])";
  EXPECT_EQ(side_in_name("a/9001695L.jpg", knees), Side::left);
}

// Columns 0 1 2 3 4, rows alike.
TEST(KneeOf, CutsHalvesAndMirrorsThem) {
  const auto film = torch::arange(5, torch::kUInt8).expand({1, 3, 5}).contiguous();
  const auto columns = [](const torch::Tensor& knee) {
    const auto row = knee[0][1].to(torch::kLong).contiguous();
    return std::vector<int64_t>(row.data_ptr<int64_t>(), row.data_ptr<int64_t>() + row.numel());
  };
  KneesConfig knees;
  const auto of = [&](std::optional<Side> side, std::optional<KneeBox> box = std::nullopt) {
    return columns(knee_of(film, "film.png", side, box, knees));
  };
  EXPECT_THAT(of(Side::right), ElementsAre(0, 1, 2, 3, 4));
  knees.bilateral = "split";
  EXPECT_THAT(of(Side::right), ElementsAre(0, 1));
  EXPECT_THAT(of(Side::left), ElementsAre(3, 4));
  knees.mirror = "left";
  EXPECT_THAT(of(Side::left), ElementsAre(4, 3));
  EXPECT_THAT(of(Side::right), ElementsAre(0, 1));
  knees.mirror = "right", knees.image_left = "left";
  EXPECT_THAT(of(Side::left), ElementsAre(0, 1));
  EXPECT_THAT(of(Side::right), ElementsAre(4, 3));
  EXPECT_THAT(of(std::nullopt), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(of(Side::right, KneeBox{1, 0, 3, 2, "b.csv:2"}), ElementsAre(3, 2, 1));
  try {
    of(Side::right, KneeBox{3, 0, 3, 2, "b.csv:2"});
    FAIL() << "the box lies outside";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("film.png: the box 3 x 2 at (3, 0) of b.csv:2"),
                                    HasSubstr("which is 5 x 3")));
  }
}

// Films of two knees: the left half grey 10 + i, the right half grey 110 + i.
std::string add_films(const TableFixture& f, int count, const std::string& more = "") {
  std::string text;
  std::filesystem::create_directories(f.pictures());
  for (int i = 0; i < count; ++i) {
    auto film = torch::full({1, 20, 40}, 10 + i, torch::kUInt8);
    film.slice(2, 20).fill_(110 + i);
    const std::string id = std::to_string(9000 + i);
    write_png(f.file("f" + id + ".png"), film);
    text += "f" + id + ".png," + id + more + "\n";
  }
  return text;
}

TEST(Knees, AFilmGivesTwoWithALabelEach) {
  TableFixture f;
  add_films(f, 20);
  std::string text = "path,subject,side,label\n";
  for (int i = 0; i < 20; ++i) {
    const std::string id = std::to_string(9000 + i);
    text += "f" + id + ".png," + id + ",R," + std::to_string(i % 2) + "\n";
    text += "f" + id + ".png," + id + ",left," + std::to_string(i % 3 ? 1 : 0) + "\n";
  }
  auto config = f.table(text);
  EXPECT_THAT(f.failure(config), HasSubstr("films.csv:3: names the same picture as"));
  config.knees.bilateral = "split";
  config.threads = 3;
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["images"], 40);
  EXPECT_EQ(metrics["train_subjects"], 14);
  const auto set = f.images();
  for (int64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(set.read({2 * i}).min().item<int64_t>(), 10 + i);  // the right knee lies on the left
    EXPECT_EQ(set.read({2 * i}).max().item<int64_t>(), 10 + i);
    EXPECT_EQ(set.read({2 * i + 1}).min().item<int64_t>(), 110 + i);
    EXPECT_EQ(set.text(2 * i, "side"), "R");
    EXPECT_EQ(set.text(2 * i + 1, "side"), "L");
    EXPECT_EQ(set.record(2 * i + 1).label, i % 3 ? 1 : 0);
    EXPECT_EQ(set.record(2 * i).split, set.record(2 * i + 1).split);
  }
  EXPECT_EQ(set.record(1).path, "f9000.png (L)");
  config = f.table(text + "f9000.png,9000,R,1\n");
  config.knees.bilateral = "split";
  EXPECT_THAT(f.failure(config, "twice"),
              HasSubstr("films.csv:42: names the same picture and knee as"));
  config = f.table("path,subject,label\nf9000.png,9000,1\n");
  config.knees.bilateral = "split";
  EXPECT_THAT(f.failure(config, "no-side"), HasSubstr("films.csv:1: has no column 'side'"));
}

TEST(Knees, BoxesCutThem) {
  TableFixture f;
  add_films(f, 12);
  std::string text = "path,subject,side,label\n", boxes = "path,side,x,y,width,height\n";
  for (int i = 0; i < 12; ++i) {
    const std::string id = std::to_string(9000 + i);
    for (const std::string side : {"R", "L"})
      text += "f" + id + ".png," + id + "," + side + "," + std::to_string(i % 2) + "\n";
    boxes += "./f" + id + ".png,R,2,2,16,16\n";
    if (i != 5) boxes += "f" + id + ".png,L," + (i == 7 ? "30" : "24") + ",2,16,16\n";
  }
  f.write("boxes.csv", boxes);
  auto config = f.table(text);
  config.knees.bilateral = "boxes";
  config.knees.boxes = f.file("boxes.csv").string();
  config.max_bad_fraction = 0.1;
  EXPECT_EQ(f.run(config)["images"], 22);
  EXPECT_EQ(f.images().read({1}).min().item<int64_t>(), 110);
  const auto bad = f.text_of("ingest/bad_files.csv");
  EXPECT_THAT(bad, HasSubstr("f9005.png,has no box in boxes.csv for side L"));
  EXPECT_THAT(bad, AllOf(HasSubstr("f9007.png (L),\"the box 16 x 16 at (30, 2)"),
                         HasSubstr("does not lie in the picture, which is 40 x 20")));
  const auto says = [&](const std::string& row) {
    f.write("boxes.csv", boxes + row + "\n");
    return f.failure(config, "failed");
  };
  EXPECT_THAT(says("f9000.png,R,1,1,5,5"), HasSubstr("boxes.csv:25: is a second box"));
  EXPECT_THAT(says("x.png,both,1,1,5,5"), HasSubstr("boxes.csv:25: side 'both'"));
  EXPECT_THAT(says("x.png,R,1,1,wide,5"), HasSubstr("boxes.csv:25: width 'wide' is no number"));
  EXPECT_THAT(says("x.png,R,1,-1,5,5"), HasSubstr("boxes.csv:25: the box 5 x 5 at (1, -1)"));
}

TEST(Knees, OneSideOfAFolderIsMirrored) {
  TableFixture f;
  for (int i = 0; i < 40; ++i) {
    auto knee = torch::zeros({1, 16, 16}, torch::kUInt8);
    knee.slice(2, 0, 8).fill_(200);
    const auto folder = f.pictures() / std::to_string(i % 4 / 2);
    std::filesystem::create_directories(folder);
    write_png(folder / (std::to_string(9000 + i / 2) + (i % 2 ? "L" : "R") + ".png"), knee);
  }
  auto config = f.config();
  config.knees.mirror = "left";
  EXPECT_THAT(f.failure(config), HasSubstr("its side is not known"));
  config.knees.side_regex = "[0-9]([LR])";
  config.subject_regex = "([0-9]+)[LR]";
  config.audit.near_duplicates = "off";  // all look alike
  f.run(config);
  const auto set = f.images();
  for (int64_t i = 0; i < set.size(); ++i) {
    const bool left = set.record(i).path.find("L.png") != std::string::npos;
    EXPECT_EQ(set.text(i, "side"), left ? "L" : "R");
    EXPECT_EQ(set.read({i})[0][0][3][0].item<int64_t>(), left ? 0 : 200);
  }
}

// More films than are kept in memory: each is decoded again for its other knee.
TEST(Knees, ATableMayBeSortedBySide) {
  TableFixture f;
  add_films(f, 20);
  std::string text = "path,subject,side,label\n";
  for (const std::string side : {"R", "L"})
    for (int i = 0; i < 20; ++i) {
      const std::string id = std::to_string(9000 + i);
      text += "f" + id + ".png," + id + "," + side + "," + std::to_string(i % 2) + "\n";
    }
  auto config = f.table(text);
  config.knees.bilateral = "split";
  for (const int64_t threads : {1, 3}) {
    config.threads = threads;
    EXPECT_EQ(f.run(config)["images"], 40);
    const auto set = f.images();
    for (int64_t i = 0; i < 40; ++i)
      EXPECT_TRUE((set.read({i}) == (i < 20 ? 10 : 110) + i % 20).all().item<bool>()) << i;
  }
}

// What OAI ships, two visits in two files: knees of subjects 9000.. with grade i % 3 on the right
// and 0 on the left, and what goes wrong in such tables.
struct Oai : TableFixture {
  IngestConfig config(const std::string& more = "") {
    std::string films = "path,subject,visit_months\n" + add_films(*this, 20, ",0");
    std::string text = "ID|SIDE|READPRJ|V00XRKL\n";
    for (int i = 0; i < 20; ++i) {
      const std::string id = std::to_string(9000 + i);
      text += id + "|1: Right|15|" + std::to_string(i % 3) + ".0\n";
      text += id + "|2: Left|15|" + (i == 4 ? ".: Missing" : i == 5 ? "1" : "0: None") + "\n";
    }
    text += "9001|1: Right|37|1\n9002|1: Right|37|0\n9002|1: Right|42|1\n";
    write("kxr_sq_bu00.txt", text + more);
    write("kxr_sq_bu01.txt", "id|side|readprj|v01xrkl\n9003|1: Right|15|2\n");
    auto c = table(films);
    c.knees.bilateral = "split";
    c.knees.right_code = "1", c.knees.left_code = "2";
    auto& r = c.knees.readings;
    r.files = {file("kxr_sq_bu00.txt").string(), file("kxr_sq_bu01.txt").string()};
    r.visits = {0, 12};
    r.subject = "id", r.reader = "readprj", r.grade = "V*XRKL";
    return c;
  }
  // Label of an image by its name; "" when it is not there.
  std::string label(const std::string& run, const std::string& path) const {
    const auto set = images(run);
    for (int64_t i = 0; i < set.size(); ++i)
      if (set.record(i).path == path)
        return set.label_names()[static_cast<size_t>(set.record(i).label)];
    return "";
  }
};

TEST(Readings, AreJoinedAsOaiShipsThem) {
  Oai f;
  const auto config = f.config();
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["readings"], 44);
  EXPECT_EQ(metrics["images"], 38);  // without the one that differs, and the one without a grade
  EXPECT_EQ(metrics["images_without_label"], 2);
  EXPECT_EQ(metrics["readings_same"], 1);
  EXPECT_EQ(metrics["readings_dropped"], 1);
  EXPECT_EQ(metrics["readings_resolved"], 0);
  EXPECT_EQ(metrics["readings_no_reading"], 1);
  EXPECT_EQ(metrics["readings_no_film"], 1);
  EXPECT_EQ(metrics["readings_no_grade"], 1);
  EXPECT_THAT(f.images().label_names(), ElementsAre("0", "1", "2"));
  EXPECT_EQ(f.label("ingest", "f9005.png (R)"), "2");
  EXPECT_EQ(f.label("ingest", "f9005.png (L)"), "1");
  EXPECT_EQ(f.label("ingest", "f9004.png (L)"), "");
  EXPECT_EQ(f.label("ingest", "f9002.png (R)"), "");
  EXPECT_EQ(f.text_of("ingest/readings.csv"),
            "outcome,subject,side,visit_months,label,rows\n"
            "dropped,9002,R,0,,kxr_sq_bu00.txt:6=2; kxr_sq_bu00.txt:43=0; kxr_sq_bu00.txt:44=1\n"
            "no_film,9003,R,12,,kxr_sq_bu01.txt:2=2\n"
            "no_grade,9004,L,0,,kxr_sq_bu00.txt:11=\n"
            "no_reading,9004,L,0,,\n"
            "same,9001,R,0,1,kxr_sq_bu00.txt:4=1; kxr_sq_bu00.txt:42=1\n");
}

TEST(Readings, OfSeveralFilesAllOrNoneTellTheVisit) {
  Oai f;
  auto config = f.config();
  f.write("kxr_sq_bu01.txt", "id|side|readprj|v01xrkl|months\n9003|1: Right|15|2|12\n");
  config.knees.readings.visits = {};
  config.knees.readings.visit = "months*";
  EXPECT_THAT(f.failure(config), HasSubstr("kxr_sq_bu00.txt:1: has no column 'months*'"));
  config.knees.readings.visit = KneesConfig().readings.visit;
  f.write("kxr_sq_bu01.txt",
          "id|side|readprj|v01xrkl|" + config.knees.readings.visit + "\n9003|1: Right|15|2|12\n");
  EXPECT_THAT(f.failure(config), AllOf(HasSubstr("kxr_sq_bu01.txt:1: has a column 'visit"),
                                       HasSubstr("other than"), HasSubstr("kxr_sq_bu00.txt")));
}

TEST(Readings, DuplicatesAreResolvedByTheStatedRule) {
  Oai f;
  auto config = f.config();
  const std::map<std::string, std::string> expected{
      {"first", "2"}, {"median", "1"}, {"highest", "2"}, {"preferred", "0"}};
  for (const auto& [rule, grade] : expected) {
    config.knees.readings.duplicates = rule;
    config.knees.readings.readers =
        rule == "preferred" ? std::vector<std::string>{"37", "15"} : std::vector<std::string>{};
    const auto metrics = f.run(config, rule);
    EXPECT_EQ(metrics["images"], 39) << rule;
    EXPECT_EQ(metrics["readings_resolved"], 1) << rule;
    EXPECT_EQ(f.label(rule, "f9002.png (R)"), grade) << rule;
    EXPECT_THAT(f.text_of(rule + "/readings.csv"),
                HasSubstr(rule + ",9002,R,0," + grade + ",kxr_sq_bu00.txt:6=2;"));
  }
  // The order of grades is the configured one.
  config.knees.readings.duplicates = "highest", config.knees.readings.readers = {};
  config.class_names = {"2", "1", "0"};
  f.run(config, "turned");
  EXPECT_EQ(f.label("turned", "f9002.png (R)"), "0");
}

TEST(Readings, ErrorsNameFileAndLine) {
  Oai f;
  const auto says = [&](auto change, const std::string& more = "") {
    auto config = f.config(more);
    change(config.knees.readings);
    return f.failure(config, "failed");
  };
  const auto nothing = [](ReadingsConfig&) {};
  EXPECT_THAT(says([](auto& r) { r.grade = "V00XRJSN"; }),
              AllOf(HasSubstr("kxr_sq_bu00.txt:1: has no column 'V00XRJSN'"),
                    HasSubstr("readings.grade"), HasSubstr("did you mean 'V00XRKL'?")));
  EXPECT_THAT(says([](auto& r) { r.subject = "*D*"; }), HasSubstr("'ID' and 'SIDE' both fit"));
  EXPECT_THAT(says(nothing, "9001|both|15|1\n"),
              HasSubstr("kxr_sq_bu00.txt:45: side 'both' is neither L nor R"));
  EXPECT_THAT(says(nothing, "|1|15|1\n"), HasSubstr("kxr_sq_bu00.txt:45: field 'ID' is empty"));
  EXPECT_THAT(says([](auto& r) {
                r.visits = {24, 36};
              }),
              AllOf(HasSubstr("gives a grade to none of the 40 knees"),
                    HasSubstr("side R, month 0"), HasSubstr("month 24")));
  auto config = f.config();
  config.class_names = {"0", "1"};
  EXPECT_THAT(f.failure(config, "failed"),
              HasSubstr("kxr_sq_bu00.txt:6: grade '2' is not in ingest.class_names"));
  config = f.config();
  f.table("path,subject,label\nf9000.png,9000,1\n");
  EXPECT_THAT(f.failure(config, "failed"), HasSubstr("films.csv:1: has a column 'label'"));
}

}  // namespace
}  // namespace stylescope
