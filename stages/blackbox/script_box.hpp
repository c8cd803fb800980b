#pragma once

#include "stages/blackbox/black_box.hpp"
#include "stages/blackbox/description.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace stylescope {

// f in the TorchScript file of the description, which lies in `folder`: forward(x), x float32
// (N, C, H, W) = (bytes / 255 - mean) / std, on `device`, in evaluation mode and without gradients,
// gives scores (N, K). Throws Error when it is no TorchScript.
std::unique_ptr<BlackBox> make_script_box(const BlackBoxDescription& description,
                                          const std::filesystem::path& folder,
                                          torch::Device device);

// Throws Error, naming it, where this file is no TorchScript network: what it is instead.
void check_script(const std::string& file);

}  // namespace stylescope
