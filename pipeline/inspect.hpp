#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

// What a file is and what it holds: for `stylescope inspect`. Only technical facts and counts:
// never a subject, a path or a name that an image carries.
namespace stylescope {

using Inspection = nlohmann::ordered_json;

// {"file", "kind", "bytes", ...}. Throws Error for what is not there, damaged (checksums are
// compared where the format has them), or of no kind that is known.
Inspection inspect(const std::filesystem::path& file);

// As lines for people.
std::string inspection_text(const Inspection& inspection);

// The kinds, by what the file begins with; each throws Error when the file is not whole.
Inspection inspect_hdf5(const std::filesystem::path& file);
Inspection inspect_safetensors(const std::filesystem::path& file);
Inspection inspect_archive(const std::filesystem::path& file);  // zip, and what PyTorch makes of it
Inspection inspect_state_dict(const std::filesystem::path& file);  // of torch.save
Inspection inspect_picture(const std::filesystem::path& file, const std::string& begin);
Inspection inspect_dicom(const std::filesystem::path& file);
Inspection inspect_slide(const std::filesystem::path& file);
Inspection inspect_run(const std::filesystem::path& folder);

}  // namespace stylescope
