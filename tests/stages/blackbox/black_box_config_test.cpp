// The keys that say what f is, and what the classifier stage leaves of them for the stages after
// it.
#include "stages/blackbox/black_box_config.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/sha256.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/load_black_box.hpp"
#include "stages/blackbox/tried_program.hpp"
#include "tests/support/black_box.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace testing_support;

BlackBoxConfig of_kind(const std::string& kind) {
  BlackBoxConfig config;
  config.kind = kind;
  return config;
}

void refuses(const BlackBoxConfig& config, const char* part) {
  EXPECT_THAT([&] { config.check("classifier"); }, ThrowsMessage<UsageError>(HasSubstr(part)));
}

TEST(BlackBoxConfig, KeysOfAnotherKindAreRefused) {
  BlackBoxConfig config;
  config.check("classifier");
  config.file = "f.pt";
  refuses(config, "classifier.file is given, but classifier.kind says resnet; say torchscript");
  config = {};
  config.resolution = 224;
  refuses(config, "classifier.resolution is given, but a ResNet that is trained here");
  config = of_kind("torchscript");
  refuses(config, "classifier.file names no TorchScript file");
  config.file = "f.pt";
  config.check("classifier");
  config.channels = 2;
  refuses(config, "classifier.channels is 2");
  config.channels = 3;
  config.mean = {0.5, 0.5};
  refuses(config, "classifier.mean has 2 numbers for 3 channel(s)");
  config = of_kind("command");
  refuses(config, "classifier.command names no program");
  config.command = {"python3", "f.py"};
  config.class_names = {"no", "yes", "no"};
  refuses(config, "classifier.class_names has 'no' twice");
  config.class_names = {"no", ""};
  refuses(config, "classifier.class_names has an empty name");
  config.class_names = {};
  config.stddev = {0.5};
  refuses(config, "classifier.std is given, but classifier.kind says command; say torchscript");
}

TEST(BlackBoxConfig, TheFingerprintIsOfWhatFIsMadeOf) {
  TempDir dir;
  EXPECT_EQ(BlackBoxConfig().fingerprint(), "");
  auto script = of_kind("torchscript");
  script.file = (dir / "f.pt").string();
  EXPECT_THAT([&] { script.fingerprint(); }, ThrowsMessage<Error>(HasSubstr("f.pt: is not there")));
  std::ofstream(dir / "f.pt") << "one";
  EXPECT_EQ(script.fingerprint(), sha256_of_file(dir / "f.pt"));

  auto command = of_kind("command");
  std::ofstream(dir / "f.py") << "one";
  std::ofstream(dir / "weights") << "one";
  command.command = {"python3", (dir / "f.py").string(), "--fast"};
  command.program_files = {(dir / "weights").string()};
  EXPECT_THAT(files_of_command(command.command, command.program_files),
              ElementsAre((dir / "f.py").string(), (dir / "weights").string()));
  const auto before = command.fingerprint();
  std::ofstream(dir / "weights") << "two";
  const auto after = command.fingerprint();
  EXPECT_NE(before, after);
  std::ofstream(dir / "f.py") << "two";
  EXPECT_NE(after, command.fingerprint());
  fs::remove(dir / "weights");
  EXPECT_THAT([&] { command.fingerprint(); },
              ThrowsMessage<Error>(HasSubstr("classifier.program_files")));
}

// An f that was tried is what it was then, from wherever the run is called again.
TEST(BlackBoxConfig, TheFingerprintOfATriedProgramDoesNotDependOnTheFolder) {
  TempDir dir;
  const auto home = fs::current_path();
  auto config = of_kind("command");
  config.command = {"python3", "f.py", "--fast"};
  config.program_files = {"weights"};
  fs::create_directories(dir / "work");
  fs::create_directories(dir / "else");
  std::ofstream(dir / "work" / "f.py") << "one";
  std::ofstream(dir / "work" / "weights") << "one";
  const auto record = dir / artifacts::black_box;
  fs::create_directories(record.parent_path());
  fs::current_path(dir / "work");
  const auto before = config.fingerprint();
  EXPECT_EQ(fingerprint_since(config, record), before) << "not tried yet";
  save_black_box(describe_black_box(config, {"dark", "bright"}, {1}, 4, 1), record.parent_path());
  fs::current_path(dir / "else");
  EXPECT_EQ(fingerprint_since(config, record), before);
  std::ofstream(dir / "work" / "f.py") << "two";
  EXPECT_NE(fingerprint_since(config, record), before);
  fs::remove(dir / "work" / "f.py");
  EXPECT_THAT([&] { fingerprint_since(config, record); },
              ThrowsMessage<Error>(HasSubstr("f.py: is not there any more (classifier.command)")));
  fs::current_path(home);
}

TEST(BlackBoxDescription, ComesBackAsItWasAndTheRunIsWholeWithoutTheSource) {
  TempDir dir;
  auto config = of_kind("torchscript");
  config.file = save_forward(dir / "mine.pt", kBrightness);
  config.resolution = 32;
  config.mean = {0.1};
  config.scores = "logits";
  fs::create_directories(dir / "run" / "classifier");
  const auto made = describe_black_box(config, {"dark", "bright"}, {1}, 4, 3);
  save_black_box(made, dir / "run" / "classifier");
  fs::remove(config.file);
  const auto read = read_black_box(dir / "run" / artifacts::black_box);
  EXPECT_EQ(to_json(read), to_json(made));
  EXPECT_THAT(read.mean, ElementsAre(0.1, 0.1, 0.1));
  EXPECT_THAT(read.stddev, ElementsAre(1, 1, 1));

  SelfCommunicator self;
  StopSignal stop(StopSignal::Hearing::deaf);
  RunContext context{self, torch::kCPU, torch::kFloat32, 5, dir / "run", dir / "run", stop};
  EXPECT_FALSE(is_own_network(dir / "run"));
  EXPECT_GT(load_black_box(context)
                ->scores(torch::full({1, 3, 4, 4}, 250, torch::kUInt8))[0]
                .item<double>(),
            0.9);
  std::ofstream(dir / "run" / artifacts::black_box_script, std::ios::app) << "more";
  EXPECT_THAT([&] { load_black_box(context); },
              ThrowsMessage<Error>(HasSubstr("classifier.pt: is not what it was")));
  publish_text(dir / "run" / artifacts::black_box, "{\"format\": \"stylescope.black_box.1\"}");
  EXPECT_THAT([&] { load_black_box(context); },
              ThrowsMessage<Error>(HasSubstr("is no whole description of a classifier")));
}

TEST(BlackBoxDescription, HowLongAProgramIsWaitedForMayChangeWhileARunIsMade) {
  TempDir dir;
  auto config = of_kind("command");
  config.command = {write_program(dir / "f.sh", "#!/bin/sh\n")};
  config.timeout = 7;
  config.restarts = 1;
  const auto tried = describe_black_box(config, {"dark", "bright"}, {1}, 4, 1);
  auto asked = tried;
  take_patience(asked, dir.path());
  EXPECT_EQ(to_json(asked), to_json(tried)) << "nothing was saved";

  config.timeout = 90;
  config.restarts = 5;
  save_patience(config, dir.path());
  take_patience(asked, dir.path());
  EXPECT_EQ(asked.timeout, 90);
  EXPECT_EQ(asked.restarts, 5);
  EXPECT_EQ(asked.command, tried.command);

  publish_text(dir / "patience.json", "{\"timeout\": 90}");
  EXPECT_THAT([&] { take_patience(asked, dir.path()); },
              ThrowsMessage<Error>(AllOf(HasSubstr("patience.json: is damaged"),
                                         HasSubstr("call stylescope run again"))));
  asked.kind = "torchscript";
  EXPECT_NO_THROW(take_patience(asked, dir.path())) << "nobody is waited for";
}

TEST(BlackBoxDescription, AProgramThatChangedIsAnotherF) {
  TempDir dir;
  auto config = of_kind("command");
  config.command = {write_program(dir / "f.sh", "#!/bin/sh\n")};
  fs::create_directories(dir / "classifier");
  save_black_box(describe_black_box(config, {"dark", "bright"}, {1}, 4, 1), dir / "classifier");
  const auto read = read_black_box(dir / artifacts::black_box);
  EXPECT_EQ(read.folder, fs::current_path().string());
  check_unchanged(read, dir / "classifier");
  write_program(dir / "f.sh", "#!/bin/sh\n# changed\n");
  EXPECT_THAT([&] { check_unchanged(read, dir / "classifier"); },
              ThrowsMessage<Error>(HasSubstr("f is another now")));
}

TEST(BlackBox, LabelsArePositiveByTheirNames) {
  TempDir dir;
  auto d = script_description(dir.path(), kBrightness);
  SelfCommunicator self;
  StopSignal stop(StopSignal::Hearing::deaf);
  RunContext context{self, torch::kCPU, torch::kFloat32, 5, dir.path(), dir.path(), stop};
  d.files = {{d.file, sha256_of_file(dir / d.file)}};
  d.class_names = {"bird", "severe"};
  const auto f = open_black_box(d, dir.path(), context);
  EXPECT_THAT(f->positive_labels({"none", "mild", "severe"}), ElementsAre(2));
  EXPECT_THAT(f->positive_labels({"bird", "severe"}), ElementsAre(1));
  EXPECT_THAT(
      [&] {
        f->positive_labels({"none", "mild"});
      },
      ThrowsMessage<Error>(HasSubstr("classifier.class_names")));
}

}  // namespace
}  // namespace stylescope
