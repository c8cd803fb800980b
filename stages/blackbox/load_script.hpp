#pragma once

#include <exception>
#include <string>

#include <torch/script.h>

// TorchScript files, for files that include torch/script.h anyway.
namespace stylescope {

// A network, with forward(), on `device`, in evaluation mode. Throws Error, naming the file: what
// else it is (weights alone, a pickle, safetensors, ...), and how to make one.
torch::jit::Module load_script(const std::string& file, torch::Device device);
// The same of any module, with forward() or without.
torch::jit::Module load_script_module(const std::string& file, torch::Device device);

// The line of a failure that says something: LibTorch's first, and the last of TorchScript's
// interpreter, which tells where it was before it says why.
std::string script_cause(const std::exception& error);

}  // namespace stylescope
