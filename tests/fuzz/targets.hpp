#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What is fuzzed: a reader of files that come from anywhere. It may refuse whatever it is given by
// an Error; all else that it throws, and what the sanitizers see, is a finding.
namespace stylescope::fuzz {

struct Target {
  const char* name;
  void (*run)(std::string_view bytes);
  std::vector<std::string> (*seeds)();  // what the fuzzer starts from
};

Target config_target();       // pipeline/config_tree, config_reader
Target csv_target();          // io/csv
Target safetensors_target();  // io/safetensors

}  // namespace stylescope::fuzz
