#include "io/tensorboard_log.hpp"

#include "io/append_file.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/crc32c.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "io/protobuf.hpp"

#include <chrono>
#include <cstring>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kPrefix = "events.out.tfevents.";

// Fields of TensorFlow's event.proto and summary.proto.
namespace event {
constexpr uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;
}
namespace summary {
constexpr uint64_t kValue = 1, kTag = 1, kSimpleValue = 2, kImage = 4;
constexpr uint64_t kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4;
}  // namespace summary

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == 0) return "localhost";
  return name;
}

// A record's bytes may hold CRCs of their own: TFRecord turns and shifts its own to tell them
// apart.
uint32_t masked_crc(std::string_view data) {
  const uint32_t crc = crc32c(data);
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

void append_record(std::string& records, std::string_view message) {
  std::string length;
  protobuf::append_raw(length, static_cast<uint64_t>(message.size()));
  records += length;
  protobuf::append_raw(records, masked_crc(length));
  records += message;
  protobuf::append_raw(records, masked_crc(message));
}

template <class Number>
Number number_at(std::string_view data, size_t at) {
  Number number;
  std::memcpy(&number, data.data() + at, sizeof number);
  return number;
}

enum class Taken { record, end, cut_off, damaged };

// Takes a record off the front of `rest`.
Taken take_record(std::string_view& rest, std::string_view& record, std::string_view& message) {
  constexpr size_t kHead = 12, kTail = 4;
  if (rest.empty()) return Taken::end;
  if (rest.size() < kHead) return Taken::cut_off;
  if (number_at<uint32_t>(rest, 8) != masked_crc(rest.substr(0, 8))) return Taken::damaged;
  const auto length = number_at<uint64_t>(rest, 0);
  if (length > rest.size() - kHead || rest.size() - kHead - length < kTail) return Taken::cut_off;
  message = rest.substr(kHead, length);
  if (number_at<uint32_t>(rest, kHead + length) != masked_crc(message)) return Taken::damaged;
  record = rest.substr(0, kHead + length + kTail);
  rest.remove_prefix(record.size());
  return Taken::record;
}

// The step of an event; the one that names the file's version belongs to none.
int64_t step_of(std::string_view message, int64_t without) {
  int64_t step = 0;
  bool version = false;
  protobuf::for_each_field(message,
                           [&](uint64_t field, protobuf::Wire, uint64_t number, std::string_view) {
                             if (field == event::kStep) step = static_cast<int64_t>(number);
                             if (field == event::kFileVersion) version = true;
                           });
  return version ? without : step;
}

}  // namespace

TensorboardLog::TensorboardLog(const fs::path& folder) {
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().filename().string().starts_with(kPrefix))
        file_ = std::max(file_, entry.path());
  if (file_.empty())
    file_ = folder / detail::concatenate(kPrefix, static_cast<int64_t>(now()), '.', host_name());
}

void TensorboardLog::cut_back(int64_t first_step) {
  if (file_.empty() || !fs::exists(file_)) return;
  const std::string all = read_text(file_);
  std::string kept;
  std::string_view rest = all, record, message;
  Taken taken;
  while ((taken = take_record(rest, record, message)) == Taken::record)
    if (step_of(message, first_step - 1) < first_step) kept += record;
  if (taken == Taken::damaged)
    log::warn(
        "{}: is damaged after {} bytes; what follows is dropped (metrics.jsonl has its "
        "figures)",
        file_.string(), all.size() - rest.size());
  if (kept.size() < all.size()) publish_text(file_, kept);
}

void TensorboardLog::write(int64_t step, const std::string& values) {
  std::string records;
  if (!fs::exists(file_) || fs::file_size(file_) == 0) {
    std::string version;
    protobuf::append(version, event::kWallTime, now());
    protobuf::append(version, event::kFileVersion, std::string_view("brain.Event:2"));
    append_record(records, version);
  }
  std::string message;
  protobuf::append(message, event::kWallTime, now());
  protobuf::append(message, event::kStep, step);
  protobuf::append(message, event::kSummary, std::string_view(values));
  append_record(records, message);
  append_to_file(file_, records);
}

void TensorboardLog::write_scalars(int64_t step,
                                   const std::vector<std::pair<std::string, double>>& scalars) {
  if (file_.empty()) return;
  std::string values;
  for (const auto& [tag, number] : scalars) {
    std::string value;
    protobuf::append(value, summary::kTag, std::string_view(tag));
    protobuf::append(value, summary::kSimpleValue, static_cast<float>(number));
    protobuf::append(values, summary::kValue, std::string_view(value));
  }
  write(step, values);
}

void TensorboardLog::write_image(int64_t step, const std::string& tag,
                                 const torch::Tensor& pixels) {
  if (file_.empty()) return;
  SS_CHECK(pixels.dim() == 3 && pixels.scalar_type() == torch::kUInt8, pixels.sizes());
  std::string image, value, values;
  protobuf::append(image, summary::kHeight, pixels.size(1));
  protobuf::append(image, summary::kWidth, pixels.size(2));
  protobuf::append(image, summary::kColorspace, pixels.size(0));  // 1: grey, 3: RGB
  protobuf::append(image, summary::kEncoded, std::string_view(encode_png(pixels)));
  protobuf::append(value, summary::kTag, std::string_view(tag));
  protobuf::append(value, summary::kImage, std::string_view(image));
  protobuf::append(values, summary::kValue, std::string_view(value));
  write(step, values);
}

void TensorboardLog::sync() const {
  if (!file_.empty() && fs::exists(file_)) sync_to_disk(file_);
}

}  // namespace stylescope
