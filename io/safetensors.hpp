#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// The safetensors format (8-byte little-endian header length, JSON header, raw data): how weights,
// latents and checkpoints are stored. Needs LibTorch alone. dtypes: F64 F32 F16 BF16 I64 I32 I16 I8
// U8 BOOL.
namespace stylescope {

struct TensorFile {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;  // in file order
  std::map<std::string, std::string> metadata;

  bool contains(const std::string& name) const;
  // Throws Error naming the tensor and the nearest names that are there.
  const torch::Tensor& at(const std::string& name) const;
};

// Throws Error: file, what is wrong with it (cut off, offsets that overlap or leave the file,
// unknown dtype, ...).
TensorFile read_safetensors(const std::filesystem::path& file);
// Published by rename after fsync. Tensors are moved to the CPU and made contiguous.
void write_safetensors(const std::filesystem::path& file, const TensorFile& content);

}  // namespace stylescope
