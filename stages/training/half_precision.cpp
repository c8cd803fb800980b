#include "stages/training/half_precision.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"

#include <ATen/cpu/Utils.h>

namespace stylescope {
namespace {

// Instructions that multiply bfloat16; without them LibTorch converts back and forth.
bool cpu_has_bfloat16() {
  for (const auto& [name, value] : at::cpu::get_cpu_capabilities())
    if (name.find("bf16") != std::string::npos && value.isBool() && value.toBool()) return true;
  return false;
}

}  // namespace

std::optional<torch::Dtype> half_type(const std::string& choice) {
  if (choice == "off") return std::nullopt;
  SS_CHECK(choice == "bfloat16" || choice == "float16", choice);
  return choice == "bfloat16" ? torch::kBFloat16 : torch::kFloat16;
}

std::optional<torch::Dtype> checked_half_type(const std::string& key, const std::string& choice,
                                              const RunContext& context) {
  const auto half = half_type(choice);
  if (!half) return half;
  validate(context.dtype == torch::kFloat32, "key '", key, "' is ", choice,
           " (which goes with float32 weights, and precision is another); use precision: float32, "
           "or set it to off");
  if (!context.device.is_cpu()) return half;
  validate(half != torch::kFloat16, "key '", key,
           "' is float16 (which CPUs do not compute with); use bfloat16, or set it to off");
  if (context.world.is_root() && !cpu_has_bfloat16())
    log::warn("{}: this CPU has no instructions for {}; training will be slower than with off", key,
              choice);
  return half;
}

}  // namespace stylescope
