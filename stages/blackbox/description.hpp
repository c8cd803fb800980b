#pragma once

#include "stages/blackbox/black_box_config.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// black_box.json: what f is, where it is no ResNet of ours, and how it is asked. The classifier
// stage writes it; the stages after it ask f by it and do not look at the configuration.
//
//   format "stylescope.black_box.1", kind "torchscript" | "command"
//   class_names, positive, scores            as in the configuration
//   run {resolution, channels}               of the images that stages give it
//   resolution, channels                     of the images that f itself is given
//   mean, std, file, source                  torchscript: `file` lies beside black_box.json and is
//                                            a copy of `source`
//   command, folder, transport, timeout, restarts     command: it works in `folder`
//   files [{path, sha256}]                   what f is made of: the copy, or the program's files
namespace stylescope {

struct BlackBoxDescription {
  std::string kind;
  std::vector<std::string> class_names;
  std::vector<int64_t> positive;
  std::string scores;
  int64_t run_resolution = 0, run_channels = 0;
  int64_t resolution = 0, channels = 0;
  std::vector<double> mean, stddev;  // one number a channel
  std::string file, source;
  std::vector<std::string> command;
  std::string folder, transport;
  double timeout = 0;
  int64_t restarts = 0;
  std::vector<std::pair<std::string, std::string>> files;  // path, sha256

  // For people and in messages: "the TorchScript file knee.pt", "the program 'python3 f.py'".
  std::string about() const;
};

// Of a configuration, for images of this size with these labels; `positive` as the stage has
// checked it. kind is not resnet. Takes the hash of its files, so it is work of one rank. Throws
// Error where a file is missing.
BlackBoxDescription describe_black_box(const BlackBoxConfig& config,
                                       const std::vector<std::string>& class_names,
                                       const std::vector<int64_t>& positive, int64_t run_resolution,
                                       int64_t run_channels);

nlohmann::json to_json(const BlackBoxDescription& description);
// Throws Error, naming `file`, for what is no such description.
BlackBoxDescription description_from(const nlohmann::json& json, const std::string& file);

// Writes black_box.json and, of a TorchScript file, the copy, into this folder. Throws Error where
// that is no TorchScript.
void save_black_box(const BlackBoxDescription& description, const std::filesystem::path& folder);
// Throws Error, naming the file, when it is missing or damaged.
BlackBoxDescription read_black_box(const std::filesystem::path& file);

// Throws Error when one of f's files is gone or is not what it was: then f is another than the one
// that the run has asked so far. `folder`: of black_box.json.
void check_unchanged(const BlackBoxDescription& description, const std::filesystem::path& folder);

}  // namespace stylescope
