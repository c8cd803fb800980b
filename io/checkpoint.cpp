#include "io/checkpoint.hpp"

#include "io/base/error.hpp"
#include "io/checkpoint_file.hpp"
#include "io/log.hpp"
#include "io/safetensors.hpp"
#include "io/sha256.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

namespace stylescope {
namespace {

constexpr const char* kFormat = "stylescope.checkpoint.1";
constexpr std::string_view kPrefix = "checkpoint-", kSuffix = ".safetensors";
constexpr const char* kBitsKey = "$float64_bits";

// JSON has no NaN and no infinity: these become {"$float64_bits": "7ff0000000000000"}. Finite
// doubles are printed with as many digits as give the same bits back.
nlohmann::json encode(const nlohmann::json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(std::bit_cast<uint64_t>(value.get<double>())));
    return {{kBitsKey, digits}};
  }
  nlohmann::json encoded = value;
  if (value.is_structured())
    for (auto& item : encoded.items()) {
      SS_CHECK(!value.is_object() || item.key() != kBitsKey);
      item.value() = encode(item.value());
    }
  return encoded;
}

// The whole of `text` as a number; nothing where it is none.
template <class Number>
std::optional<Number> number_in(const std::string& text, int base) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value, base);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

nlohmann::json decode(const nlohmann::json& value) {
  if (value.is_object() && value.size() == 1 && value.contains(kBitsKey)) {
    const auto& digits = value[kBitsKey];
    const auto bits =
        digits.is_string() ? number_in<uint64_t>(digits.get<std::string>(), 16) : std::nullopt;
    validate(bits.has_value(), "has '", digits.dump(), "' where the bits of a number should be");
    return std::bit_cast<double>(*bits);
  }
  nlohmann::json decoded = value;
  if (value.is_structured())
    for (auto& item : decoded.items()) item.value() = decode(item.value());
  return decoded;
}

// `file` is for messages.
nlohmann::json numbers_of(const std::string& text, const std::string& file) {
  const auto numbers = nlohmann::json::parse(text, nullptr, false);
  validate(!numbers.is_discarded(), file, ": is no whole checkpoint ('numbers' is no JSON)");
  try {
    return decode(numbers);
  } catch (const Error& error) {
    throw Error(file + ": is no whole checkpoint ('numbers' " + error.what() + ")");
  }
}

// What checkpoint.hpp promises: length-prefixed, so that no two contents give the same bytes.
class ContentHash {
 public:
  void number(int64_t value) {
    char bytes[8];
    for (int i = 0; i < 8; ++i)
      bytes[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    hash_.update(bytes, sizeof bytes);
  }
  void text(std::string_view value) {
    number(static_cast<int64_t>(value.size()));
    hash_.update(value);
  }
  void tensor(const torch::Tensor& value) {
    text(torch::toString(value.scalar_type()));
    number(value.dim());
    for (const int64_t extent : value.sizes()) number(extent);
    hash_.update(value.data_ptr(), value.nbytes());
  }
  std::string finish() { return hash_.finish(); }

 private:
  Sha256 hash_;
};

std::string content_hash(const std::string& step, const std::string& numbers,
                         const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  ContentHash hash;
  hash.text(kFormat);
  hash.text(step);
  hash.text(numbers);
  hash.number(static_cast<int64_t>(tensors.size()));
  for (const auto& [name, tensor] : tensors) {
    hash.text(name);
    hash.tensor(tensor);
  }
  return hash.finish();
}

}  // namespace

std::vector<std::string> differences(const Checkpoint& a, const Checkpoint& b) {
  const auto contents = [](const Checkpoint& checkpoint) {
    std::map<std::string, std::string> all;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      ContentHash hash;
      hash.tensor(tensor);
      all[name] = hash.finish();
    }
    for (const auto& [name, number] : checkpoint.numbers.items()) all[name] = encode(number).dump();
    return all;
  };
  const auto left = contents(a), right = contents(b);
  std::vector<std::string> names;
  for (const auto& [name, content] : left)
    if (!right.contains(name) || right.at(name) != content) names.push_back(name);
  for (const auto& [name, content] : right)
    if (!left.contains(name)) names.push_back(name);
  return names;
}

CheckpointDirectory::CheckpointDirectory(std::filesystem::path directory, int64_t keep)
    : directory_(std::move(directory)), keep_(keep) {
  SS_CHECK(keep >= 1);
}

void CheckpointDirectory::save(const Checkpoint& checkpoint, const std::vector<int64_t>& held) {
  SS_CHECK(checkpoint.step >= 0);
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  validate(!error, directory_.string(), ": cannot be made (", error.message(),
           "); choose a run directory that you may write to");
  TensorFile content;
  for (const auto& [name, tensor] : checkpoint.tensors)
    content.tensors.emplace_back(name, tensor.detach().cpu().contiguous());
  const std::string step = std::to_string(checkpoint.step);
  const std::string numbers = encode(checkpoint.numbers).dump();
  content.metadata = {{"format", kFormat},
                      {"step", step},
                      {"numbers", numbers},
                      {"sha256", content_hash(step, numbers, content.tensors)}};
  write_safetensors(path_of(checkpoint.step), content);

  // A later step was found damaged when the run went on from an earlier one: it must not count
  // among the newest.
  std::vector<int64_t> present = steps();
  const auto later = std::ranges::upper_bound(present, checkpoint.step);
  const auto kept = later - std::min<int64_t>(keep_, later - present.begin());
  for (auto it = present.begin(); it != present.end(); ++it)
    if ((it < kept && std::ranges::find(held, *it) == held.end()) || it >= later)
      std::filesystem::remove(path_of(*it), error);
  remove_unfinished();
}

// What a program that was killed while it wrote has left; nobody else writes here.
void CheckpointDirectory::remove_unfinished() const {
  std::error_code error;
  std::vector<std::filesystem::path> unfinished;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.find(std::string(kSuffix) + ".tmp") != std::string::npos)
      unfinished.push_back(entry.path());
  }
  for (const auto& file : unfinished) std::filesystem::remove(file, error);
}

std::optional<Checkpoint> CheckpointDirectory::load_newest() const {
  std::vector<int64_t> present = steps();
  for (auto step = present.rbegin(); step != present.rend(); ++step) {
    try {
      return load(*step);
    } catch (const Error& problem) {
      const bool last = std::next(step) == present.rend();
      log::warn("{}; this checkpoint is not used{}", problem.what(),
                last ? "" : ", trying the one before");
    }
  }
  validate(present.empty(), directory_.string(), ": none of the ", present.size(),
           " checkpoints is whole; remove this folder to start the stage from its beginning");
  return std::nullopt;
}

Checkpoint read_checkpoint(const std::filesystem::path& file) {
  TensorFile content = read_safetensors(file);
  const auto& metadata = content.metadata;
  for (const char* key : {"format", "step", "numbers", "sha256"})
    validate(metadata.contains(key), file.string(), ": is no whole checkpoint ('", key,
             "' is missing)");
  validate(metadata.at("format") == kFormat, file.string(), ": has the format '",
           metadata.at("format"), "', not '", kFormat, "'");
  const auto& step = metadata.at("step");
  validate(metadata.at("sha256") == content_hash(step, metadata.at("numbers"), content.tensors),
           file.string(), ": is damaged (its SHA-256 is not the one written)");
  const auto count = number_in<int64_t>(step, 10);
  validate(count.has_value(), file.string(), ": is no whole checkpoint ('step' is '", step,
           "', no number)");
  return {*count, std::move(content.tensors), numbers_of(metadata.at("numbers"), file.string())};
}

Checkpoint CheckpointDirectory::load(int64_t step) const {
  auto checkpoint = read_checkpoint(path_of(step));
  validate(checkpoint.step == step, path_of(step).string(), ": holds step ", checkpoint.step,
           " (renamed?)");
  return checkpoint;
}

std::vector<int64_t> CheckpointDirectory::steps() const {
  std::vector<int64_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    int64_t step = 0;
    const char* end = name.data() + name.size() - kSuffix.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (parsed.ec == std::errc() && parsed.ptr == end && path_of(step).filename() == name)
      found.push_back(step);
  }
  std::ranges::sort(found);
  return found;
}

std::filesystem::path CheckpointDirectory::path_of(int64_t step) const {
  return directory_ / (std::string(kPrefix) + std::to_string(step) + std::string(kSuffix));
}

}  // namespace stylescope
