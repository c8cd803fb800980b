// A libFuzzer program of the target that STYLESCOPE_FUZZ_TARGET names (tests/fuzz/fuzz.sh).
#include "tests/fuzz/targets.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

const stylescope::fuzz::Target& target() {
  static const auto chosen = stylescope::fuzz::STYLESCOPE_FUZZ_TARGET();
  return chosen;
}

}  // namespace

// Writes the seeds to the folder that the environment names.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* folder = std::getenv("STYLESCOPE_FUZZ_SEEDS");
  if (!folder) return 0;
  int number = 0;
  for (const auto& seed : target().seeds())
    std::ofstream(std::filesystem::path(folder) / ("seed-" + std::to_string(number++)),
                  std::ios::binary)
        << seed;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  target().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
