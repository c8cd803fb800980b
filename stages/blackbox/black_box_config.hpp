#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// What f is, in the classifier stage's section: a ResNet that the stage trains, or one that is
// there already. README.md, "Your own classifier", has the contract.
struct BlackBoxConfig {
  std::string kind = "resnet";  // resnet | torchscript | command
  std::string file;             // torchscript
  std::vector<std::string> command;
  std::vector<std::string> program_files;
  std::string transport = "pipe";        // pipe | hdf5
  int64_t resolution = 0;                // f's own; 0: the run's
  int64_t channels = 0;                  // f's own; 0: the run's
  std::vector<double> mean, stddev;      // torchscript: of x / 255; empty: 0 and 1
  std::string scores = "probabilities";  // probabilities | logits
  std::vector<std::string> class_names;  // of f's columns; empty: the images' labels
  double timeout = 300;
  int64_t restarts = 3;

  bool trained_here() const { return kind == "resnet"; }

  void describe(Fields& f);
  // Throws UsageError for what no single key can say; `section` is the stage's name.
  void check(const std::string& section) const;
  // Of what f is made of outside of the run: a TorchScript file, a program's files. "" for a ResNet
  // that is trained. Throws Error where a file is not there.
  std::string fingerprint() const;

  // The keys of describe(): a section of a ResNet that is trained means the same without them.
  static const std::vector<std::string>& keys();
};

// The files whose content decides what a command answers: those that its words name, and
// program_files. The interpreter of a script ("python3 f.py") is none of them: another version of
// it is no other f. Absolute paths, in order. Throws Error where one of program_files is not there.
std::vector<std::string> files_of_command(const std::vector<std::string>& command,
                                          const std::vector<std::string>& program_files);

// "python3 f.py"
std::string joined(const std::vector<std::string>& words, const char* separator = " ");

}  // namespace stylescope
