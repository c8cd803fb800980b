#include "io/tensorboard_log.hpp"

#include "io/crc32c.hpp"
#include "io/picture.hpp"
#include "io/protobuf.hpp"
#include "tests/io/faults.hpp"

#include <cmath>
#include <limits>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::flip_byte;
using testing_support::overwrite;
using testing_support::SmallDisk;
using testing_support::TempDir;

struct Value {
  std::string tag;
  float scalar = 0;
  std::string png;
  int64_t height = 0, width = 0, colorspace = 0;
};
struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  std::vector<Value> values;
};

template <class Number>
Number number_of(std::string_view bytes) {
  Number number{};
  EXPECT_EQ(bytes.size(), sizeof number);
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

uint32_t unmasked(uint32_t masked) {
  const uint32_t turned = masked - 0xa282ead8U;
  return turned << 15 | turned >> 17;
}

Value value_of(std::string_view message) {
  Value value;
  EXPECT_TRUE(protobuf::for_each_field(
      message, [&](uint64_t field, protobuf::Wire, uint64_t, std::string_view bytes) {
        if (field == 1) value.tag = bytes;
        if (field == 2) value.scalar = number_of<float>(bytes);
        if (field != 4) return;
        EXPECT_TRUE(protobuf::for_each_field(
            bytes, [&](uint64_t part, protobuf::Wire, uint64_t n, std::string_view encoded) {
              if (part == 1) value.height = static_cast<int64_t>(n);
              if (part == 2) value.width = static_cast<int64_t>(n);
              if (part == 3) value.colorspace = static_cast<int64_t>(n);
              if (part == 4) value.png = encoded;
            }));
      }));
  return value;
}

Event event_of(std::string_view message) {
  Event event;
  EXPECT_TRUE(protobuf::for_each_field(
      message, [&](uint64_t field, protobuf::Wire, uint64_t n, std::string_view bytes) {
        if (field == 1) event.wall_time = number_of<double>(bytes);
        if (field == 2) event.step = static_cast<int64_t>(n);
        if (field == 3) event.version = bytes;
        if (field == 5)
          EXPECT_TRUE(protobuf::for_each_field(
              bytes, [&](uint64_t, protobuf::Wire, uint64_t, std::string_view value) {
                event.values.push_back(value_of(value));
              }));
      }));
  return event;
}

// All events of a file, every checksum checked.
std::vector<Event> events_of(const std::filesystem::path& file) {
  const std::string all = read_text(file);
  std::vector<Event> events;
  for (size_t at = 0; at < all.size();) {
    const std::string_view head(all.data() + at, 8);
    const auto length = number_of<uint64_t>(head);
    EXPECT_EQ(unmasked(number_of<uint32_t>({all.data() + at + 8, 4})), crc32c(head));
    if (length > all.size() - at - 16) {
      ADD_FAILURE() << "cut off";
      break;
    }
    const std::string_view message(all.data() + at + 12, length);
    EXPECT_EQ(unmasked(number_of<uint32_t>({all.data() + at + 12 + length, 4})), crc32c(message));
    events.push_back(event_of(message));
    at += length + 16;
  }
  return events;
}

// The file's version, then one event a step from 0 on.
void expect_steps(const std::filesystem::path& file, int64_t count) {
  const auto events = events_of(file);
  ASSERT_EQ(static_cast<int64_t>(events.size()), count + 1);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  for (int64_t step = 0; step < count; ++step) {
    const auto& event = events[static_cast<size_t>(step) + 1];
    EXPECT_EQ(event.step, step);
    ASSERT_EQ(event.values.size(), 1U);
    EXPECT_EQ(event.values[0].scalar, static_cast<float>(step) / 2);
  }
}

TensorboardLog log_of_steps(const std::filesystem::path& folder, int64_t first, int64_t last) {
  TensorboardLog log(folder);
  for (int64_t step = first; step < last; ++step)
    log.write_scalars(step, {{"loss", static_cast<double>(step) / 2}});
  return log;
}

TEST(Crc32c, KnownAnswers) {  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST(Protobuf, WritesTheWireFormat) {
  std::string message;
  protobuf::append(message, 1, int64_t{150});  // the example of protobuf's own description
  EXPECT_EQ(message, "\x08\x96\x01");
  message.clear();
  protobuf::append(message, 2, std::string_view("testing"));
  EXPECT_EQ(message, "\x12\x07testing");
  message.clear();
  protobuf::append(message, 16, int64_t{-1});
  EXPECT_EQ(message.size(), 12U);
  int64_t number = 0;
  EXPECT_TRUE(protobuf::for_each_field(
      message, [&](uint64_t field, protobuf::Wire, uint64_t n, std::string_view) {
        EXPECT_EQ(field, 16U);
        number = static_cast<int64_t>(n);
      }));
  EXPECT_EQ(number, -1);
  const auto nothing = [](uint64_t, protobuf::Wire, uint64_t, std::string_view) {};
  EXPECT_FALSE(protobuf::for_each_field("\x12\x07test", nothing));
  EXPECT_FALSE(protobuf::for_each_field("\x80", nothing));
}

TEST(TensorboardLog, GivesBackWhatWasWritten) {
  TempDir dir;
  TensorboardLog log(dir.path());
  EXPECT_FALSE(std::filesystem::exists(log.file()));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  log.write_scalars(0, {{"loss/g", 0.25}, {"loss/d", nan}});
  const auto pixels = torch::arange(2 * 3 * 4, torch::kUInt8).view({1, 4, 6});
  log.write_image(1'000'000'000'000, "samples", pixels);
  log.sync();
  EXPECT_EQ(log.file().filename().string().find("events.out.tfevents."), 0U);
  const auto events = events_of(log.file());
  ASSERT_EQ(events.size(), 3U);
  EXPECT_GT(events[1].wall_time, 1.7e9);
  ASSERT_EQ(events[1].values.size(), 2U);
  EXPECT_EQ(events[1].values[0].tag, "loss/g");
  EXPECT_EQ(events[1].values[0].scalar, 0.25F);
  EXPECT_TRUE(std::isnan(events[1].values[1].scalar));
  EXPECT_EQ(events[2].step, 1'000'000'000'000);
  ASSERT_EQ(events[2].values.size(), 1U);
  const auto& image = events[2].values[0];
  EXPECT_EQ(image.tag, "samples");
  EXPECT_EQ(image.height, 4);
  EXPECT_EQ(image.width, 6);
  EXPECT_EQ(image.colorspace, 1);
  overwrite(dir / "image.png", image.png);
  EXPECT_TRUE(torch::equal(read_picture(dir / "image.png", 1), pixels));
}

TEST(TensorboardLog, IsCutBackToACheckpoint) {
  TempDir dir;
  TensorboardLog(dir.path()).cut_back(0);  // nothing there yet
  const auto file = log_of_steps(dir.path(), 0, 6).file();
  const auto whole = read_text(file);
  overwrite(file, whole + whole.substr(0, 20));  // killed while writing
  TensorboardLog again(dir.path());
  EXPECT_EQ(again.file(), file) << "one file, however often it was resumed";
  again.cut_back(6);
  EXPECT_EQ(read_text(file), whole);
  again.cut_back(4);
  expect_steps(file, 4);
  log_of_steps(dir.path(), 4, 9);
  expect_steps(file, 9);
  again.cut_back(0);
  expect_steps(file, 0);
}

TEST(TensorboardLog, DropsWhatFollowsADamagedRecord) {
  TempDir dir;
  const auto file = log_of_steps(dir.path(), 0, 6).file();
  const size_t bytes = std::filesystem::file_size(file);
  for (const size_t at : {bytes - 2, bytes - 20}) {
    const auto whole = read_text(file);
    flip_byte(file, at);
    TensorboardLog again(dir.path());
    again.cut_back(6);
    expect_steps(file, 5);
    overwrite(file, whole);
  }
}

TEST(TensorboardLog, WithoutAFolderWritesNothing) {
  TensorboardLog log;
  log.cut_back(0);
  log.write_scalars(1, {{"loss", 1}});
  log.write_image(1, "samples", torch::zeros({1, 2, 2}, torch::kUInt8));
  log.sync();
  EXPECT_TRUE(log.file().empty());
}

TEST(TensorboardLog, FaultsGetASentence) {
  TempDir dir;
  TensorboardLog log(dir / "no");
  expect_sentence(error_of([&] {
                    log.write_scalars(1, {{"loss", 1}});
                  }),
                  log.file(), {"No such file"});
}

TEST(TensorboardLog, AFullDiskLeavesNoHalfRecord) {
  SmallDisk disk("64k");
  SKIP_UNLESS_MOUNTED(disk);
  TensorboardLog log(disk / ".");
  int64_t step = 0;
  const std::string message = error_of([&] {
    for (; step < 10000; ++step) log.write_scalars(step, {{"loss", static_cast<double>(step) / 2}});
  });
  expect_sentence(message, log.file(), {"No space left on device", "disk"});
  expect_steps(log.file(), step);
}

}  // namespace
}  // namespace stylescope
