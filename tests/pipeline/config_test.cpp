#include "pipeline/config.hpp"

#include "io/base/error.hpp"
#include "io/config_json.hpp"
#include "pipeline/config_dump.hpp"
#include "pipeline/config_reader.hpp"
#include "pipeline/config_tree.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Inner {
  int64_t batch = 32;
  double rate = 0.25;
  std::string noise = "random";
  std::vector<int64_t> sizes = {1, 2};
  std::vector<double> targets;
  std::vector<std::string> words;
  void describe(Fields& f) {
    f.field("batch", batch, {1, 64}, "images a step");
    f.field("rate", rate, {0, 1}, "learning rate");
    f.choice("noise", noise, {"random", "const", "none"}, "where noise comes from");
    f.field("sizes", sizes, {0, 9}, "sizes");
    f.field("targets", targets, {0, 1}, "targets");
    f.field("words", words, "words");
  }
};

struct Outer {
  std::string title = "a title";
  bool mirror = false;
  double factor = 1e-7;
  Inner gan;
  void describe(Fields& f) {
    f.field("title", title, "title");
    f.field("mirror", mirror, "flips");
    f.field("factor", factor, {}, "any number");
    f.section("gan", gan, "the gan");
  }
};

Outer read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  ConfigNode root = parse_config(text, "run.yaml");
  for (const auto& assignment : overrides) apply_override(root, assignment);
  Outer config;
  ConfigReader reader(root);
  config.describe(reader);
  reader.finish();
  return config;
}

std::string failure(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    read(text, overrides);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Configuration, ReadsEveryKind) {
  const auto config = read(
      "# a comment\ntitle: 7\nmirror: true\nfactor: -1.5e3\ngan:\n  batch: 8\n  rate: 1\n  noise: "
      "none\n"
      "  sizes: [3, 4]\n  targets: [0.5]\n  words: [a, 'b c']\n");
  EXPECT_EQ(config.title, "7");
  EXPECT_TRUE(config.mirror);
  EXPECT_EQ(config.factor, -1500);
  EXPECT_EQ(config.gan.batch, 8);
  EXPECT_EQ(config.gan.rate, 1);
  EXPECT_EQ(config.gan.noise, "none");
  EXPECT_EQ(config.gan.sizes, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(config.gan.targets, std::vector<double>{0.5});
  EXPECT_EQ(config.gan.words, (std::vector<std::string>{"a", "b c"}));
}

TEST(Configuration, EmptyFileAndEmptySectionAreDefaults) {
  EXPECT_EQ(read("").gan.batch, 32);
  EXPECT_EQ(read("gan:\n").gan.batch, 32);
}

TEST(Configuration, AnchorsWorkAndMergeKeysAreRefused) {
  EXPECT_EQ(read("factor: &f 0.5\ngan:\n  rate: *f\n").gan.rate, 0.5);
  EXPECT_THAT(failure("gan: &g\n  batch: 8\ngan2:\n  <<: *g\n"),
              AllOf(StartsWith("run.yaml:4:"), HasSubstr("merge keys")));
}

TEST(Configuration, AnAliasBombIsRefused) {
  // Nine lines that would be 10^9 values ("billion laughs").
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 10; ++k) text += ", " + before;
    text += "]\n";
  }
  EXPECT_THAT(failure(text), AllOf(StartsWith("run.yaml:"), HasSubstr("more than 20000 values")));
  EXPECT_THAT(failure("gan: &g\n  batch: [*g]\n"),
              AllOf(StartsWith("run.yaml:"), HasSubstr("does an alias refer to itself?")));
  EXPECT_THAT(failure("", {"title=&a [*a]"}), HasSubstr("nested deeper than 32 levels"));
}

TEST(Configuration, DeepNestingIsRefusedAndOverflowsNoStack) {
  for (const size_t depth : {100, 400'000}) {
    EXPECT_THAT(failure("title: " + std::string(depth, '[')), StartsWith("run.yaml:"));
    EXPECT_THAT(failure("title: " + std::string(depth, '{')), StartsWith("run.yaml:"));
  }
  EXPECT_THAT(failure("title: " + std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested deeper than 32 levels"));
  std::string dashes, steps;
  for (int i = 0; i < 3000; ++i) dashes += "- ";
  for (int i = 0; i < 1000; ++i) steps += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(failure(dashes + "x\n"), StartsWith("run.yaml:"));
  EXPECT_THAT(failure(steps), StartsWith("run.yaml:"));
}

// yaml-cpp's own LoadAll() finds one document after another in it, without end (found by fuzzing).
TEST(Configuration, ACommaThatOpensALineComesToAnEnd) {
  EXPECT_EQ(failure(", 2, p2"), "run.yaml:1: this is no YAML (no value can begin so)");
}

TEST(Configuration, WhatIsNoTextIsRefused) {
  using namespace std::string_literals;
  EXPECT_EQ(failure("title: a\n\x7f\x45LF\x02\x01\0\0"s),
            "run.yaml:2: holds a byte 127, which no text has (a binary file, or UTF-16?); name a "
            "YAML file in UTF-8");
  EXPECT_EQ(
      failure("t\0i\0t\0l\0e\0:\0 \0x\0"s),
      "run.yaml:1: holds a byte 0, which no text has (a binary file, or UTF-16?); name a YAML "
      "file in UTF-8");
  for (const auto& mark :
       {"\xff\xfet\0"s, "\xfe\xff\0t"s, "\xff\xfe\0\0t\0\0\0"s, "\0\0\xfe\xff\0\0\0t"s})
    EXPECT_EQ(failure(mark), "run.yaml: is UTF-16 or UTF-32 text; save it as UTF-8");
  EXPECT_EQ(failure("seed: 1\n# K\xf6ln\n"),
            "run.yaml:2: is not UTF-8 (Latin-1?); save it as UTF-8");
  EXPECT_EQ(read("\xef\xbb\xbf"
                 "title: K\u00f6ln\n")
                .title,
            "K\u00f6ln");
  EXPECT_EQ(read("title: a\r\ngan:\r\n  batch: 3\r\n").gan.batch, 3);
}

TEST(Configuration, AListWhereASectionIsWanted) {
  EXPECT_EQ(failure("gan:\n  - batch: 3\n"),
            "run.yaml:1: key 'gan' must be a section (indented keys below it), but is a list");
  EXPECT_THAT(failure("gan: [batch, 3]\n"), HasSubstr("must be a section"));
  EXPECT_THAT(failure("- title: a\n"), HasSubstr("made of lines 'key: value'"));
}

TEST(Configuration, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(failure("title: x\ngan:\n  bacth: 3\n"),
            "run.yaml:3: key 'gan.bacth' is unknown; did you mean 'gan.batch'?");
  EXPECT_EQ(failure("titel: x\n"), "run.yaml:1: key 'titel' is unknown; did you mean 'title'?");
  EXPECT_EQ(failure("gan:\n  zzzzzzzzzz: 3\n"),
            "run.yaml:2: key 'gan.zzzzzzzzzz' is unknown; valid in 'gan' are batch, rate, noise, "
            "sizes, targets, words");
}

TEST(Configuration, DuplicateKeyNamesBothLines) {
  EXPECT_EQ(failure("gan:\n  batch: 3\n  rate: 0\n  batch: 4\n"),
            "run.yaml:4: key 'gan.batch' is given twice (first at run.yaml:2); keep one");
}

TEST(Configuration, WrongTypesSayWhatIsWanted) {
  EXPECT_EQ(failure("gan:\n  batch: many\n"),
            "run.yaml:2: key 'gan.batch' must be a whole number from 1 to 64, but is 'many'");
  EXPECT_THAT(failure("gan:\n  batch: 3.5\n"), HasSubstr("must be a whole number"));
  EXPECT_THAT(failure("gan:\n  batch: \"3\"\n"), HasSubstr("the text \"3\""));
  EXPECT_THAT(failure("gan:\n  batch:\n"), AllOf(StartsWith("run.yaml:2:"), HasSubstr("is empty")));
  EXPECT_THAT(failure("gan:\n  batch: [3]\n"), HasSubstr("a list"));
  EXPECT_THAT(failure("gan:\n  rate: fast\n"), HasSubstr("must be a number from 0 to 1"));
  EXPECT_THAT(failure("factor: nan\n"), HasSubstr("must be a number"));
  EXPECT_THAT(failure("mirror: yes\n"), HasSubstr("must be true or false, but is 'yes'"));
  EXPECT_THAT(failure("title: [a]\n"), HasSubstr("must be a text"));
  EXPECT_THAT(failure("gan: 3\n"), HasSubstr("must be a section"));
  EXPECT_THAT(failure("gan:\n  sizes: 3\n"), HasSubstr("must be a list"));
  EXPECT_THAT(failure("gan:\n  sizes: [3, x]\n"),
              HasSubstr("key 'gan.sizes' must be a whole number"));
  EXPECT_EQ(failure("gan:\n  noise: randm\n"),
            "run.yaml:2: key 'gan.noise' must be one of random, const, none, but is 'randm'; did "
            "you mean 'random'?");
}

TEST(Configuration, OutOfRange) {
  EXPECT_EQ(failure("gan:\n  batch: 65\n"),
            "run.yaml:2: key 'gan.batch' is out of range: 65 is not a whole number from 1 to 64");
  EXPECT_THAT(failure("gan:\n  batch: 99999999999999999999\n"),
              HasSubstr("must be a whole number"));
  EXPECT_THAT(failure("gan:\n  rate: -0.1\n"), HasSubstr("out of range"));
  EXPECT_THAT(failure("gan:\n  sizes: [1, 10]\n"), HasSubstr("out of range"));
}

TEST(Configuration, BrokenYamlNamesTheLine) {
  EXPECT_EQ(
      failure("gan:\n\tbatch: 3\n"),
      "run.yaml:2: a tab in the indentation (YAML allows only spaces there); replace it by spaces");
  EXPECT_THAT(failure("title: x\ngan: [1, 2\n"),
              AllOf(StartsWith("run.yaml:"), HasSubstr("no YAML")));
  EXPECT_THAT(failure("- a\n- b\n"), HasSubstr("made of lines 'key: value'"));
  EXPECT_THAT(failure("title: a\n---\ntitle: b\n"),
              HasSubstr("run.yaml:2: a second YAML document begins here"));
  EXPECT_THAT(failure("title: !!binary abc\n"), HasSubstr("tag"));
  for (const char* text : {"gan:\n\tbatch: 3\n", "gan: [1, 2\n", "a: b: c\n"})
    EXPECT_THAT(failure(text), Not(HasSubstr("\n"))) << "an error is one line";
}

TEST(Configuration, SetGoesThroughTheSameChecks) {
  EXPECT_EQ(read("gan:\n  batch: 3\n", {"gan.batch=4", "gan.batch=5"}).gan.batch, 5);
  EXPECT_EQ(read("", {"gan.sizes=[7]"}).gan.sizes, std::vector<int64_t>{7});
  EXPECT_EQ(read("", {"title="}).title, "");
  EXPECT_EQ(failure("", {"gan.bacth=4"}),
            "--set gan.bacth=4: key 'gan.bacth' is unknown; did you mean 'gan.batch'?");
  EXPECT_THAT(failure("", {"gan.batch=x"}),
              StartsWith("--set gan.batch=x: key 'gan.batch' must be a whole number"));
  EXPECT_THAT(failure("", {"gan.batch"}), HasSubstr("is no assignment"));
  EXPECT_THAT(failure("title: x\n", {"title.x=1"}), HasSubstr("'title' is no section"));
  EXPECT_THAT(failure("", {"gan..batch=1"}), HasSubstr("empty part"));
}

TEST(Configuration, DumpsLoadBackToTheSame) {
  Outer before;
  before.title = "null";
  before.factor = 0.1 + 0.2;
  before.gan.words = {"", "a: b", "true", "5", "Ü\"\n"};
  before.gan.targets = {1.0 / 3, 1};
  YamlDumper yaml(true);
  before.describe(yaml);
  Outer after = read(yaml.result());
  EXPECT_EQ(after.title, before.title);
  EXPECT_EQ(after.factor, before.factor);
  EXPECT_EQ(after.gan.words, before.gan.words);
  EXPECT_EQ(after.gan.targets, before.gan.targets);
  EXPECT_THAT(yaml.result(), HasSubstr("  # images a step [1 to 64]\n  batch: 32\n"));
  EXPECT_THAT(yaml.result(), HasSubstr("# where noise comes from [random | const | none]"));
  JsonDumper json;
  after.describe(json);
  EXPECT_EQ(json.result().at("gan").at("batch"), 32);
}

TEST(Configuration, WholeProgramDefaultsRoundTrip) {
  testing_support::TempDir dir;
  Config before;
  std::ofstream(dir / "knee.yaml") << to_yaml(before, true);
  Config after = load_config(dir / "knee.yaml", {});
  EXPECT_EQ(after.name, "knee");
  EXPECT_EQ(after.run_dir, "runs/knee");
  after.name = after.run_dir = "";
  EXPECT_EQ(to_json(after), to_json(before));
}

TEST(Configuration, SlidesInPlaceOfPictures) {
  testing_support::TempDir dir;
  Config before = default_config({"images=tile", "tile.path=slides"});
  EXPECT_FALSE(to_json(before).contains("ingest"));
  std::ofstream(dir / "lymph.yaml") << to_yaml(before, true);
  Config after = load_config(dir / "lymph.yaml", {});
  after.name = after.run_dir = "";
  EXPECT_EQ(to_json(after), to_json(before));
  EXPECT_EQ(stages_of(after).front().name, "tile");
  EXPECT_EQ(stages_of(after)[1].inputs, std::vector<std::string>{"tile"});

  std::ofstream(dir / "both.yaml") << "seed: 1\ntile:\n  path: slides\n";
  try {
    load_config(dir / "both.yaml", {});
    ADD_FAILURE() << "a section that is not read was accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("section 'tile' is given, and key 'images' says 'ingest' "
                                        "(its default); say images: tile"));
  }
  std::ofstream(dir / "odd.yaml") << "images: tile\ntile:\n  path: slides\n  tile_px: 100\n";
  try {
    load_config(dir / "odd.yaml", {});
    ADD_FAILURE() << "100 pixels were accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("tile.tile_px: 100 is no power of two"));
  }
}

TEST(Configuration, ALargeFileIsRefusedBeforeItIsParsed) {
  testing_support::TempDir dir;
  const auto says = [](const std::filesystem::path& file) -> std::string {
    try {
      load_config(file, {});
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  std::ofstream(dir / "large.yaml") << "seed: 1\n";
  std::filesystem::resize_file(dir / "large.yaml", 100'000'000);
  EXPECT_THAT(says(dir / "large.yaml"), HasSubstr("large.yaml: is larger than 1 MB"));
  EXPECT_THAT(says("/dev/zero"), HasSubstr("is larger than 1 MB"));
  EXPECT_THAT(failure("# " + std::string(1'000'000, 'x')), HasSubstr("is larger than 1 MB"));
  EXPECT_THAT(says(dir.path()), HasSubstr(": is a folder; name a configuration file"));
  EXPECT_THAT(says(dir / "none.yaml"), HasSubstr("none.yaml: cannot be read (No such file"));
}

TEST(Configuration, FileThatCannotBeReadAndBadName) {
  testing_support::TempDir dir;
  EXPECT_THROW(load_config(dir / "none.yaml", {}), UsageError);
  EXPECT_THROW(load_config(dir.path(), {}), UsageError);
  std::ofstream(dir / "a.yaml") << "seed: 1\n";
  EXPECT_THROW(load_config(dir / "a.yaml", {"name=a/b"}), UsageError);
  EXPECT_THROW(load_config(dir / "a.yaml", {"seed=-1"}), UsageError);
}

}  // namespace
}  // namespace stylescope
