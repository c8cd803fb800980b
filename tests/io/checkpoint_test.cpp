#include "io/checkpoint.hpp"

#include "io/checkpoint_file.hpp"
#include "io/log.hpp"
#include "io/safetensors.hpp"
#include "io/sha256.hpp"
#include "tests/io/faults.hpp"

#include <bit>
#include <limits>
#include <sstream>

#include <spdlog/sinks/ostream_sink.h>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::flip_byte;
using testing_support::overwrite;
using testing_support::SmallDisk;
using testing_support::TempDir;

// What is logged while it lives.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
};

Checkpoint checkpoint(int64_t step) {
  const auto base = torch::arange(24).add(step).to(torch::kFloat64).div(7);
  return {step,
          {{"G.weight", base.view({2, 3, 4})},
           {"G.mean", base.slice(0, 0, 3).to(torch::kFloat32)},
           {"scalar", torch::scalar_tensor(0.1, torch::kFloat64)},
           {"seen", torch::arange(step + 1)}},
          {{"p", 0.1}, {"images", 123456789012345}}};
}

void expect_same(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.numbers, b.numbers);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].first, b.tensors[i].first);
    EXPECT_EQ(a.tensors[i].second.scalar_type(), b.tensors[i].second.scalar_type());
    EXPECT_TRUE(a.tensors[i].second.equal(b.tensors[i].second)) << a.tensors[i].first;
  }
}

// The checksum of a checkpoint without tensors, as io/checkpoint.hpp has it.
std::string hash_of(const std::string& step, const std::string& numbers) {
  Sha256 hash;
  const auto number = [&hash](uint64_t value) {
    char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
    hash.update(bytes, sizeof bytes);
  };
  for (const std::string& text : {std::string("stylescope.checkpoint.1"), step, numbers}) {
    number(text.size());
    hash.update(text);
  }
  number(0);
  return hash.finish();
}

TEST(Checkpoint, GivesBackWhatWasSaved) {
  TempDir dir;
  CheckpointDirectory directory(dir / "new/checkpoints", 3);
  EXPECT_FALSE(directory.load_newest().has_value());
  EXPECT_TRUE(directory.steps().empty());
  directory.save(checkpoint(5));
  expect_same(directory.load_newest().value(), checkpoint(5));
}

TEST(Checkpoint, NumbersKeepEveryBit) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 1);
  const std::vector<double> values{0.1,
                                   1.0 / 3,
                                   -0.0,
                                   5e-324,
                                   1.7976931348623157e308,
                                   1.0,
                                   std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity(),
                                   std::bit_cast<double>(uint64_t{0x7ff8000000000123})};
  Checkpoint saved{
      1, {}, {{"deep", {{"list", values}}}, {"nan", std::nan("")}, {"big", 9007199254740993}}};
  directory.save(saved);
  const auto loaded = directory.load_newest().value();
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(std::bit_cast<uint64_t>(loaded.numbers["deep"]["list"][i].get<double>()),
              std::bit_cast<uint64_t>(values[i]))
        << values[i];
  EXPECT_TRUE(std::isnan(loaded.numbers["nan"].get<double>()));
  EXPECT_EQ(loaded.numbers["big"].get<int64_t>(), 9007199254740993);
}

// Texts that no program of ours wrote, with a checksum that fits.
TEST(Checkpoint, TextsThatAreNoNumbersAreRefused) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 1);
  directory.save({3, {}, {{"a", 1}}});
  const auto written = read_safetensors(directory.path_of(3));
  const auto says = [&](const char* step, const char* numbers, const char* part) {
    auto content = written;
    content.metadata["step"] = step;
    content.metadata["numbers"] = numbers;
    content.metadata["sha256"] = hash_of(step, numbers);
    write_safetensors(dir / "other.safetensors", content);
    expect_sentence(error_of([&] { read_checkpoint(dir / "other.safetensors"); }),
                    dir / "other.safetensors", {part});
  };
  says("many", "{}", "'step' is 'many', no number");
  says("99999999999999999999", "{}", "no number");
  says("3", "{", "'numbers' is no JSON");
  says("3", R"({"a":{"$float64_bits":"nan"}})", "where the bits of a number should be");
}

TEST(Checkpoint, KeepsTheNewest) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 2);
  for (const int64_t step : {9, 10, 100, 101}) directory.save(checkpoint(step));
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{100, 101}));
  expect_same(directory.load_newest().value(), checkpoint(101));
}

TEST(Checkpoint, OtherFilesAreIgnored) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 2);
  directory.save(checkpoint(3));
  overwrite(dir / "checkpoint-9.safetensors.tmp123", "killed while writing");
  overwrite(dir / "checkpoint-x.safetensors", "");
  overwrite(dir / "checkpoint-007.safetensors", "");
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{3}));
  expect_same(directory.load_newest().value(), checkpoint(3));
}

TEST(Checkpoint, WhatAKilledProgramLeftHalfWrittenIsRemoved) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 2);
  overwrite(dir / "checkpoint-9.safetensors.tmp123", "killed while writing");
  overwrite(dir / "notes.tmp123", "somebody else's");
  directory.save(checkpoint(10));
  EXPECT_FALSE(std::filesystem::exists(dir / "checkpoint-9.safetensors.tmp123"));
  EXPECT_TRUE(std::filesystem::exists(dir / "notes.tmp123"));
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{10}));
}

TEST(Checkpoint, EveryFlippedByteIsNoticed) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 2);
  directory.save(checkpoint(1));
  directory.save(checkpoint(2));
  const auto newest = directory.path_of(2);
  const std::string whole = read_text(newest);
  int fallen_back = 0, looked_at = 0;
  for (size_t at = 0; at < whole.size(); at += 3) {
    CapturedLog log;
    overwrite(newest, whole);
    flip_byte(newest, at);
    ++looked_at;
    const auto loaded = directory.load_newest().value();
    if (loaded.step == 2) {  // the padding of the header carries nothing
      expect_same(loaded, checkpoint(2));
      EXPECT_EQ(whole[at], ' ') << at;
      continue;
    }
    ++fallen_back;
    expect_same(loaded, checkpoint(1));
    EXPECT_NE(log.text().find(newest.string()), std::string::npos) << at;
    EXPECT_NE(log.text().find("the one before"), std::string::npos) << at;
  }
  EXPECT_GT(fallen_back, looked_at * 9 / 10);
}

TEST(Checkpoint, CutOffAndEmptyFilesFallBack) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 3);
  directory.save(checkpoint(1));
  directory.save(checkpoint(2));
  const std::string whole = read_text(directory.path_of(2));
  for (const size_t length : {size_t{0}, size_t{4}, size_t{100}, whole.size() - 1}) {
    CapturedLog log;
    overwrite(directory.path_of(2), whole.substr(0, length));
    expect_same(directory.load_newest().value(), checkpoint(1));
    EXPECT_NE(log.text().find(directory.path_of(2).string()), std::string::npos);
  }
}

TEST(Checkpoint, ARenamedFileIsNotBelieved) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 3);
  directory.save(checkpoint(1));
  std::filesystem::copy_file(directory.path_of(1), directory.path_of(50));
  CapturedLog log;
  EXPECT_EQ(directory.load_newest()->step, 1);
  EXPECT_NE(log.text().find("holds step 1"), std::string::npos);
}

TEST(Checkpoint, NoneWholeIsAnError) {
  TempDir dir;
  CheckpointDirectory directory(dir / "checkpoints", 3);
  directory.save(checkpoint(1));
  directory.save(checkpoint(2));
  for (const int64_t step : {1, 2})
    flip_byte(directory.path_of(step), std::filesystem::file_size(directory.path_of(step)) - 1);
  CapturedLog log;
  expect_sentence(error_of([&] { directory.load_newest(); }), dir / "checkpoints",
                  {"none of the 2", "remove this folder"});
}

// keep = 1, the newest (30) is damaged, the run goes on from 20 and saves 25: 25 must stay, and 30
// go.
TEST(Checkpoint, ADamagedLaterOneDoesNotPushOutANewOne) {
  TempDir dir;
  CheckpointDirectory directory(dir.path(), 1);
  overwrite(directory.path_of(30), "damaged");
  directory.save(checkpoint(25));
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{25}));
  expect_same(directory.load_newest().value(), checkpoint(25));
}

TEST(Checkpoint, AFullDiskLeavesTheFolderAsItWas) {
  SmallDisk disk("1m");
  SKIP_UNLESS_MOUNTED(disk);
  CheckpointDirectory directory(disk.path(), 1);
  directory.save(checkpoint(1));
  const auto before = disk.files();
  Checkpoint large = checkpoint(2);
  large.tensors.emplace_back("large", torch::zeros({1 << 20}, torch::kUInt8));
  expect_sentence(error_of([&] { directory.save(large); }), disk / "checkpoint-2.safetensors",
                  {"No space left on device"});
  EXPECT_EQ(disk.files(), before);
  expect_same(directory.load_newest().value(), checkpoint(1));
}

TEST(Checkpoint, AReadOnlyFolderIsSaid) {
  SmallDisk disk("1m");
  SKIP_UNLESS_MOUNTED(disk);
  CheckpointDirectory directory(disk.path(), 1);
  directory.save(checkpoint(1));
  disk.make_read_only();
  expect_sentence(error_of([&] { directory.save(checkpoint(2)); }),
                  disk / "checkpoint-2.safetensors", {"Read-only file system"});
  expect_same(directory.load_newest().value(), checkpoint(1));
  EXPECT_NE(error_of([&] {
              CheckpointDirectory(disk / "sub", 1).save(checkpoint(2));
            }).find("Read-only file system"),
            std::string::npos);
}

TEST(Checkpoint, DifferencesAreOfBits) {
  Checkpoint a{3, {{"w", torch::tensor({1.0, 2.0})}, {"nan", torch::full({1}, NAN)}}, {{"n", 1}}};
  Checkpoint b{3, {{"w", torch::tensor({1.0, 2.0})}, {"nan", torch::full({1}, NAN)}}, {{"n", 1}}};
  EXPECT_TRUE(differences(a, b).empty());
  b.tensors[0].second = torch::tensor({1.0F, std::nextafter(2.0F, 3.0F)});
  b.numbers["n"] = 2;
  b.numbers["more"] = 0;
  EXPECT_EQ(differences(a, b), (std::vector<std::string>{"n", "w", "more"}));
  b.tensors[0].second = torch::tensor({0.0, 2.0});
  a.tensors[0].second = torch::tensor({-0.0, 2.0});
  EXPECT_EQ(differences(a, b).size(), 3U);
}

}  // namespace
}  // namespace stylescope
