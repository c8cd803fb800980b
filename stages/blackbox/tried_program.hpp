#pragma once

#include "stages/blackbox/black_box_config.hpp"
#include "stages/blackbox/description.hpp"

#include <filesystem>
#include <string>
#include <vector>

// What of an f that is there already decides whether what was made with it still holds.
namespace stylescope {

// Does this key of the classifier's section say what such an f is? Those of training do not, nor
// do `timeout` and `restarts`.
bool decides_what_f_is(const std::string& key);

// Of the content of files, in this order; "" of none.
std::string fingerprint_of(const std::vector<std::string>& files);

// BlackBoxConfig::fingerprint() of a program that was tried: `file` is its black_box.json, or not
// there. Words of the command are the files that they were then, in the folder that it works in.
// Throws Error where one of them is gone.
std::string fingerprint_since(const BlackBoxConfig& config, const std::filesystem::path& file);

// How long a program is waited for is no part of what f is, and may change while a run is made:
// `run` leaves it in the run directory (patience.json), and the stages ask f with it.
void save_patience(const BlackBoxConfig& config, const std::filesystem::path& run_dir);
// Puts it into the description, where it was saved. Throws Error, naming the file, when that is
// damaged.
void take_patience(BlackBoxDescription& description, const std::filesystem::path& run_dir);

}  // namespace stylescope
