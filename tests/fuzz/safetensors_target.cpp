#include "io/base/error.hpp"
#include "io/safetensors_header.hpp"
#include "tests/fuzz/targets.hpp"

#include <cstdlib>
#include <sstream>

#include <torch/torch.h>

namespace stylescope::fuzz {
namespace {

void run(std::string_view bytes) {
  std::istringstream in{std::string(bytes)};
  try {
    const auto content = read_safetensors(in, "fuzz.safetensors");
    size_t held = 0;
    for (const auto& [name, tensor] : content.tensors) {
      held += tensor.nbytes();
      if (!content.at(name).is_same(tensor)) std::abort();
    }
    if (held > bytes.size()) std::abort();
  } catch (const Error&) {
    // Refused: what is to be expected.
  }
}

// The length of the header, the header, the data.
std::string file_of(const std::string& header, size_t data) {
  std::string bytes;
  for (size_t i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + std::string(data, '\x2a');
}

std::vector<std::string> seeds() {
  return {
      file_of("{}", 0),
      file_of(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24),
      file_of(R"({"__metadata__":{"kind":"x\u00e9\n","n":"\"1\""},)"
              R"("a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
              R"("b":{"dtype":"BOOL","shape":[4],"data_offsets":[8,12]}}   )",
              12),
      file_of(R"({"a":{"dtype":"U8","shape":[0,1000000000],"data_offsets":[0,0]}})", 0),
      file_of(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},)"
              R"("a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})",
              4),
      file_of(R"({"a":{"dtype":"F64","shape":[999999999999999999,9],"data_offsets":[0,8]}})", 8),
      file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
              R"("b":{"dtype":"U8","shape":[999999999999999999,9],"data_offsets":[1,0]}})",
              0),
  };
}

}  // namespace

Target safetensors_target() { return {"safetensors", run, seeds}; }

}  // namespace stylescope::fuzz
