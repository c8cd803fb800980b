#include "stages/script/script_module.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <filesystem>

namespace stylescope {
namespace {

torch::Tensor copy_of(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU).contiguous().clone();
}

void set_value(torch::jit::Module& module, const std::string& name, const c10::IValue& value) {
  if (value.isTensor())
    module.register_buffer(name, copy_of(value.toTensor()));
  else
    module.register_attribute(name, value.type(), value);
}

torch::jit::Module build(const torch::nn::Module& layer, const std::string& path,
                         const DescribeLayer& describe) {
  const auto script = describe(layer, path);
  torch::jit::Module made(c10::QualifiedName(script.class_name));
  // Python's eval() and train() look for it; nothing here depends on it.
  made.register_attribute("training", c10::BoolType::get(), false);
  for (const auto& item : layer.named_parameters(/*recurse=*/false))
    made.register_parameter(item.key(), copy_of(item.value()), /*is_buffer=*/false);
  for (const auto& item : layer.named_buffers(/*recurse=*/false))
    made.register_buffer(item.key(), copy_of(item.value()));
  for (const auto& child : layer.named_children()) {
    const auto below = path.empty() ? child.key() : path + "." + child.key();
    made.register_module(child.key(), build(*child.value(), below, describe));
  }
  for (const auto& [name, value] : script.values) set_value(made, name, value);
  if (!script.source.empty()) made.define(script.source);
  return made;
}

}  // namespace

torch::jit::Module script_of(const torch::nn::Module& network, const DescribeLayer& describe) {
  return build(network, "", describe);
}

void save_script(const std::string& file, const torch::jit::Module& module) {
  publish_file(file, [&](const std::filesystem::path& temporary) {
    try {
      module.save(temporary.string());
    } catch (const c10::Error& error) {
      const std::string text = error.what_without_backtrace();
      throw Error(file + ": cannot be written (" + text.substr(0, text.find('\n')) +
                  "); check the free space and the permissions of its folder");
    }
  });
}

}  // namespace stylescope
