#pragma once

#include "stages/blackbox/description.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <torch/script.h>

// Black boxes to try: TorchScript of a few lines, and programs of a few lines.
namespace stylescope::testing_support {

// A TorchScript file of a network with this forward().
inline std::string save_forward(const std::filesystem::path& file, const std::string& forward) {
  torch::jit::Module module("network");
  module.define(forward);
  module.save(file.string());
  return file.string();
}

// The brighter the image, the more it is of the second class: logits (N, 2).
inline const char* const kBrightness = R"(
def forward(self, x):
    mean = x.mean([1, 2, 3])
    return torch.stack([-8 * (mean - 0.5), 8 * (mean - 0.5)], 1)
)";

// An executable file.
inline std::string write_program(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file.string();
}

// Of images 1 x 4 x 4 with two classes, as the program of these words.
inline BlackBoxDescription command_description(std::vector<std::string> words,
                                               const std::filesystem::path& folder) {
  BlackBoxDescription d;
  d.kind = "command";
  d.class_names = {"dark", "bright"};
  d.positive = {1};
  d.scores = "probabilities";
  d.run_resolution = d.resolution = 4;
  d.run_channels = d.channels = 1;
  d.command = std::move(words);
  d.folder = folder.string();
  d.transport = "pipe";
  d.timeout = 120;
  d.restarts = 2;
  return d;
}

// The same in the TorchScript file <folder>/classifier.pt.
inline BlackBoxDescription script_description(const std::filesystem::path& folder,
                                              const std::string& forward) {
  auto d = command_description({}, folder);
  d.kind = "torchscript";
  d.scores = "logits";
  d.file = "classifier.pt";
  d.source = "/somewhere/mine.pt";
  d.mean = {0};
  d.stddev = {1};
  save_forward(folder / d.file, forward);
  return d;
}

}  // namespace stylescope::testing_support
