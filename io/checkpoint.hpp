#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

// Checkpoints of a training stage: files checkpoint-<step>.safetensors in one folder, each
// published by rename and carrying a SHA-256 of its content. A damaged one is found by it, named in
// a warning, and the one before is used.
//
// The file's metadata: format "stylescope.checkpoint.1", step, numbers (JSON; a NaN or infinity is
// {"$float64_bits": "<16 hex digits>"}), and sha256 over, in this order: format, step, numbers, the
// number of tensors, and for each tensor in file order its name, dtype, number of axes, extents and
// little-endian data. Texts are preceded by their length; lengths and counts are 8-byte
// little-endian integers.
namespace stylescope {

struct Checkpoint {
  int64_t step = 0;                                            // completed steps
  std::vector<std::pair<std::string, torch::Tensor>> tensors;  // CPU, contiguous
  nlohmann::json numbers =
      nlohmann::json::object();  // counters and scalars; doubles keep every bit
};

// The names of all tensors and numbers that are not the same bits in both, or in one only.
std::vector<std::string> differences(const Checkpoint& a, const Checkpoint& b);

class CheckpointDirectory {
 public:
  CheckpointDirectory(std::filesystem::path directory, int64_t keep);

  // Writes, fsyncs, renames, then removes all but the newest `keep` and those of the steps `held`,
  // any of a later step (the run went back behind it), and what a killed program left half written.
  // Throws Error (disk full, no permission), and then the folder is as it was.
  void save(const Checkpoint& checkpoint, const std::vector<int64_t>& held = {});
  // The newest whole one, or nothing. Throws Error when there are checkpoints but none is whole.
  std::optional<Checkpoint> load_newest() const;
  // The one of this step. Throws Error when it is not there, or not whole.
  Checkpoint load(int64_t step) const;
  // Steps of the files present, ascending.
  std::vector<int64_t> steps() const;
  std::filesystem::path path_of(int64_t step) const;

 private:
  void remove_unfinished() const;

  std::filesystem::path directory_;
  int64_t keep_;
};

}  // namespace stylescope
