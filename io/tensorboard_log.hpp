#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

// An event file that TensorBoard reads: events.out.tfevents.<Unix time>.<host>, a sequence of
// records (length, its masked CRC-32C, an Event message, its masked CRC-32C). On resume the file
// that is there is cut back to the checkpoint's step and goes on, so that no step stands there
// twice and none is missing.
namespace stylescope {

class TensorboardLog {
 public:
  TensorboardLog() = default;  // writes nothing (ranks other than the root)
  // The newest event file of the folder, or a new one, which is made by the first write.
  explicit TensorboardLog(const std::filesystem::path& folder);
  // Drops every record with a step >= first_step, atomically, and with a warning what follows a
  // damaged record; a last record that was cut off goes silently.
  void cut_back(int64_t first_step);
  // One event. Values are kept in single precision, as the format has it.
  void write_scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  // (C, H, W) uint8, C = 1 or 3: kept as a PNG.
  void write_image(int64_t step, const std::string& tag, const torch::Tensor& pixels);
  // Returns when all records written so far are on disk. From any thread.
  void sync() const;

  const std::filesystem::path& file() const { return file_; }

 private:
  void write(int64_t step, const std::string& summary);

  std::filesystem::path file_;
};

}  // namespace stylescope
