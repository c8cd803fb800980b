#include "stages/blackbox/black_box_config.hpp"

#include "io/base/error.hpp"
#include "io/config_json.hpp"
#include "io/sha256.hpp"
#include "stages/blackbox/tried_program.hpp"

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

void refuse(const std::string& key, const std::string& problem) {
  throw UsageError(key + " " + problem);
}

}  // namespace

void BlackBoxConfig::describe(Fields& f) {
  f.choice("kind", kind, {"resnet", "torchscript", "command"},
           "what f is: a ResNet that this stage trains, a TorchScript file, or a program of yours; "
           "the last two are tried on the images, and the keys of training do not count");
  f.field("file", file, "torchscript: the file (torch.jit.script or trace, and save)");
  f.field("command", command,
          "command: the program and its arguments; docs/blackbox.md says how it is asked");
  f.field("program_files", program_files,
          "command: further files that it reads (weights, modules): f is another when one changes");
  f.choice("transport", transport, {"pipe", "hdf5"},
           "command: how it gets images: bytes on its standard input, or names of HDF5 files");
  f.field("resolution", resolution, {0, 65536}, "side of the images that f takes (0: the run's)");
  f.field("channels", channels, {0, 3}, "1: grey, 3: RGB (0: the run's)");
  f.field("mean", mean, {-1e6, 1e6},
          "torchscript: f takes (x / 255 - mean) / std, one number or one a channel (none: 0)");
  f.field("std", stddev, {1e-9, 1e6},
          "torchscript: the same (none: 1; 0.00392156862745098: bytes)");
  f.choice("scores", scores, {"probabilities", "logits"},
           "what f gives: probabilities, or what softmax (of one column: sigmoid) makes some of");
  f.field("class_names", class_names,
          "of f's columns, in the words of the images' labels (none: the labels themselves)");
  f.field("timeout", timeout, {0.1, 1e6},
          "command: seconds that it may take to start, and for a batch");
  f.field("restarts", restarts, {0, 1000},
          "command: how often it is started again on a rank, in a stage, after it failed");
}

void BlackBoxConfig::check(const std::string& section) const {
  const auto only_for = [&](const char* key, bool given, const char* wanted) {
    if (given && kind != wanted)
      refuse(section + "." + key, "is given, but " + section + ".kind says " + kind + "; say " +
                                      wanted + ", or leave " + key + " out");
  };
  only_for("file", !file.empty(), "torchscript");
  only_for("command", !command.empty(), "command");
  only_for("program_files", !program_files.empty(), "command");
  only_for("mean", !mean.empty(), "torchscript");
  only_for("std", !stddev.empty(), "torchscript");
  if (trained_here()) {
    if (resolution != 0 || channels != 0 || !class_names.empty())
      refuse(section + (resolution != 0 ? ".resolution"
                        : channels != 0 ? ".channels"
                                        : ".class_names"),
             "is given, but a ResNet that is trained here takes the images as they are (" +
                 section + ".kind: resnet); set those of ingest or tile");
    return;
  }
  if (channels == 2) refuse(section + ".channels", "is 2; images are grey (1) or RGB (3)");
  for (size_t i = 0; i < class_names.size(); ++i) {
    const auto& name = class_names[i];
    if (name.empty()) refuse(section + ".class_names", "has an empty name; name every column of f");
    // Of two columns of one name the wrong one might be the positive one.
    if (std::find(class_names.begin(), class_names.begin() + static_cast<ptrdiff_t>(i), name) !=
        class_names.begin() + static_cast<ptrdiff_t>(i))
      refuse(section + ".class_names",
             "has '" + name + "' twice; give every column of f a name of its own");
  }
  if (kind == "torchscript" && file.empty())
    refuse(section + ".file",
           "names no TorchScript file, but " + section + ".kind says torchscript; give one");
  if (kind == "command" && (command.empty() || command.front().empty()))
    refuse(section + ".command", "names no program, but " + section +
                                     ".kind says command; write [program, argument, ...]");
  for (const auto* values : {&mean, &stddev})
    if (values->size() > 1 && channels != 0 && static_cast<int64_t>(values->size()) != channels)
      refuse(section + (values == &mean ? ".mean" : ".std"),
             detail::concatenate("has ", values->size(), " numbers for ", channels,
                                 " channel(s); give one, or one a channel"));
}

std::string BlackBoxConfig::fingerprint() const {
  if (trained_here()) return "";
  if (kind == "torchscript") {
    validate(fs::is_regular_file(file), file,
             ": is not there (classifier.file); give a TorchScript file");
    return sha256_of_file(file);
  }
  return fingerprint_of(files_of_command(command, program_files));
}

const std::vector<std::string>& BlackBoxConfig::keys() {
  static const std::vector<std::string> names = [] {
    JsonDumper dumper;
    BlackBoxConfig().describe(dumper);
    std::vector<std::string> keys;
    for (const auto& [key, value] : dumper.result().items()) keys.push_back(key);
    return keys;
  }();
  return names;
}

std::vector<std::string> files_of_command(const std::vector<std::string>& command,
                                          const std::vector<std::string>& program_files) {
  std::vector<std::string> files;
  const auto add = [&files](const fs::path& file) {
    const auto name = fs::absolute(file).lexically_normal().string();
    if (std::ranges::find(files, name) == files.end()) files.push_back(name);
  };
  std::error_code ignored;
  for (size_t i = 0; i < command.size(); ++i) {
    // A bare first word is looked for in PATH, not here.
    if (i == 0 && command[i].find('/') == std::string::npos) continue;
    if (fs::is_regular_file(command[i], ignored)) add(command[i]);
  }
  for (const auto& file : program_files) {
    validate(fs::is_regular_file(file), file,
             ": is no file that is there (classifier.program_files)");
    add(file);
  }
  return files;
}

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

}  // namespace stylescope
