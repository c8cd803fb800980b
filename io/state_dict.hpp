#pragma once

#include "io/safetensors.hpp"

#include <filesystem>
#include <string>

// The files of torch.save: a pickle, in which Python finds code to run and this reader finds
// nothing but dictionaries, lists, numbers, texts and tensors. What asks for anything else is
// refused.
namespace stylescope {

// Does the file begin like one of torch.save's, in either of its two forms (a zip archive with
// data.pkl since PyTorch 1.6, a bare pickle before)?
bool is_state_dict_file(const std::filesystem::path& file);

// The tensors of a state_dict, in its order, made dense. Where the dictionary holds it beside
// other things (a checkpoint with entries such as "state_dict", "model", "model_state_dict",
// "g_ema"), that entry is taken; a prefix "module." of all names (DataParallel) is dropped. Entries
// that are no tensors are passed over. Throws Error: file, what is wrong, and how to convert the
// file in three lines of Python.
TensorFile read_state_dict(const std::filesystem::path& file);

}  // namespace stylescope
