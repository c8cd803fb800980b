#include "stages/blackbox/load_script.hpp"

#include "io/base/error.hpp"

#include <array>
#include <filesystem>
#include <fstream>

namespace stylescope {
namespace {

constexpr const char* kHowTo =
    "; save the network with torch.jit.script(network).save(FILE), or "
    "torch.jit.trace(network, images).save(FILE)";

// What a file that is no TorchScript is instead; "" where that cannot be told.
std::string other_kind(const std::string& file, const std::string& cause) {
  std::array<char, 16> head{};
  std::ifstream(file, std::ios::binary).read(head.data(), head.size());
  const auto byte = [&head](size_t i) { return static_cast<unsigned char>(head.at(i)); };
  const bool zip = head[0] == 'P' && head[1] == 'K';
  if (zip && cause.find("constants.pkl") != std::string::npos)
    return "it was written by torch.save and holds weights only, not the network's code";
  if (byte(0) == 0x80 && byte(1) >= 2 && byte(1) <= 5)
    return "it is a Python pickle, such as old versions of torch.save write";
  if (head[8] == '{' && byte(7) == 0) return "it is safetensors, which holds weights only";
  return "";
}

torch::jit::Module load(const std::string& file, torch::Device device, bool forward) {
  validate(std::filesystem::is_regular_file(file), file, ": is not there; give a TorchScript file");
  try {
    auto module = torch::jit::load(file, device);
    module.eval();
    if (forward) module.get_method("forward");
    return module;
  } catch (const std::exception& error) {
    const auto cause = script_cause(error);
    const auto kind = other_kind(file, cause);
    throw Error(file + ": is no TorchScript network (" + (kind.empty() ? cause : kind) + ")" +
                kHowTo);
  }
}

}  // namespace

std::string script_cause(const std::exception& error) {
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    const std::string text = torch_error->what_without_backtrace();
    return text.substr(0, text.find('\n'));
  }
  std::string text = error.what();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto line = text.rfind('\n');
  return line == std::string::npos ? text : text.substr(line + 1);
}

torch::jit::Module load_script(const std::string& file, torch::Device device) {
  return load(file, device, /*forward=*/true);
}

torch::jit::Module load_script_module(const std::string& file, torch::Device device) {
  return load(file, device, /*forward=*/false);
}

}  // namespace stylescope
