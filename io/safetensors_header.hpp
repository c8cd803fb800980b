#pragma once

#include "io/safetensors.hpp"

#include <filesystem>
#include <iosfwd>
#include <string>

// Parts of reading a safetensors file, for those who do not want all of it, or have no file. In
// io/safetensors.cpp.
namespace stylescope {

// From a stream that can be sought; `name` is for messages.
TensorFile read_safetensors(std::istream& in, const std::string& name);
// The header alone: tensors with names, shapes and dtypes, and without data (on the device "meta").
// The header is checked against the size of the file.
TensorFile read_safetensors_header(const std::filesystem::path& file);

}  // namespace stylescope
