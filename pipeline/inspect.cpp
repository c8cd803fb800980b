#include "pipeline/inspect.hpp"

#include "io/base/error.hpp"
#include "io/dicom.hpp"
#include "io/first_bytes.hpp"
#include "io/slide.hpp"
#include "pipeline/run_directory.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace std::string_view_literals;

// The length of a JSON header, then the header.
bool is_safetensors(const std::string& begin, uintmax_t bytes) {
  if (begin.size() < 9 || begin[8] != '{') return false;
  uint64_t length = 0;
  for (size_t i = 8; i > 0; --i) length = length << 8 | static_cast<uint8_t>(begin[i - 1]);
  return length < (uint64_t{1} << 32) || length <= bytes;
}

bool is_tiff(std::string_view begin) {
  for (const auto magic : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv})
    if (begin.starts_with(magic)) return true;
  return false;
}

bool is_picture(std::string_view begin) {
  for (const auto magic : {"\x89PNG\r\n\x1a\n"sv, "\xff\xd8\xff"sv, "BM"sv, "GIF8"sv})
    if (begin.starts_with(magic)) return true;
  return begin.starts_with("RIFF") && begin.substr(0, 12).ends_with("WEBP");
}

// A TIFF is a slide or a picture: whichever reads it. The reason of the likelier one is told.
Inspection inspect_tiff(const fs::path& file, const std::string& begin) {
  try {
    return inspect_slide(file);
  } catch (const Error&) {
    if (file.extension() != ".tif" && file.extension() != ".tiff") throw;
  }
  return inspect_picture(file, begin);
}

Inspection inspect_content(const fs::path& file, const std::string& begin, uintmax_t bytes) {
  // First of all: a DICOM file's first 128 bytes may be the head of a TIFF.
  if (begin.size() >= 132 && begin.substr(128, 4) == "DICM") return inspect_dicom(file);
  if (begin.starts_with("\x89HDF\r\n\x1a\n"sv)) return inspect_hdf5(file);
  if (begin.starts_with("PK\x03\x04"sv) || begin.starts_with("PK\x05\x06"sv))
    return inspect_archive(file);
  if (is_safetensors(begin, bytes)) return inspect_safetensors(file);
  if (is_picture(begin)) return inspect_picture(file, begin);
  if (is_dicom(file)) return inspect_dicom(file);
  if (is_tiff(begin)) return inspect_tiff(file, begin);
  if (begin.starts_with("\x80\x02"sv)) return inspect_state_dict(file);
  if (is_slide_name(file) || file.extension() == ".dat") return inspect_slide(file);
  throw Error(
      file.string() +
      ": is of no kind that inspect knows (HDF5, safetensors, files of torch.save and "
      "TorchScript, zip, PNG, JPEG, TIFF, DICOM, slides, run directories); is it damaged, or "
      "another program's?");
}

void append(std::string& text, const std::string& indent, const std::string& key,
            const Inspection& value);

std::string scalar(const Inspection& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A list: of plain values in one line, of objects a line each.
void append_list(std::string& text, const std::string& indent, const Inspection& list) {
  if (std::none_of(list.begin(), list.end(), [](const auto& item) { return item.is_object(); })) {
    std::string line;
    for (const auto& item : list) line += (line.empty() ? " " : ", ") + scalar(item);
    text += line + "\n";
    return;
  }
  text += "\n";
  for (const auto& item : list) {
    std::string line;
    for (const auto& part : item.items())
      line += (line.empty() ? "" : "  ") + (part.value().is_string()
                                                ? scalar(part.value())
                                                : part.key() + " " + scalar(part.value()));
    text += indent + "  " + line + "\n";
  }
}

void append(std::string& text, const std::string& indent, const std::string& key,
            const Inspection& value) {
  text += indent + key + ":";
  if (value.is_array()) {
    append_list(text, indent, value);
  } else if (value.is_object()) {
    text += "\n";
    for (const auto& item : value.items()) append(text, indent + "  ", item.key(), item.value());
  } else {
    text += " " + scalar(value) + "\n";
  }
}

}  // namespace

Inspection inspect(const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(file, error);
  validate(fs::exists(status), file.string(), ": is not there; check the path");
  Inspection result{{"file", file.string()}};
  if (fs::is_directory(status)) {
    result.update(inspect_run(file));
    return result;
  }
  validate(fs::is_regular_file(status), file.string(), ": is no file that can be read");
  const auto bytes = fs::file_size(file, error);
  validate(!error && bytes > 0, file.string(), ": is empty (0 bytes); copy or make it again");
  const auto begin = first_bytes(file, 512);
  validate(!begin.empty(), file.string(), ": cannot be read; check its permissions and the disk");
  auto content = inspect_content(file, begin, bytes);
  result["kind"] = content.at("kind");
  result["bytes"] = bytes;
  result.update(content);
  return result;
}

std::string inspection_text(const Inspection& inspection) {
  std::string text;
  for (const auto& item : inspection.items()) append(text, "", item.key(), item.value());
  return text;
}

Inspection inspect_run(const fs::path& folder) {
  std::vector<std::string> done, begun;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    if (!fs::is_directory(entry.path(), error) || name.find(".old-") != std::string::npos) continue;
    if (name.ends_with(".partial"))
      begun.push_back(name.substr(0, name.size() - std::string_view(".partial").size()));
    else if (fs::exists(entry.path() / "stage.json", error))
      done.push_back(name);
  }
  validate(!done.empty() || !begun.empty() || fs::exists(folder / "manifest.json"), folder.string(),
           ": is a folder, and no run directory; name a file, or a run directory");
  std::ranges::sort(done);
  std::ranges::sort(begun);
  return {{"kind", "run directory"},
          {"stages_done", done},
          {"stages_begun", begun},
          {"see", "stylescope status " + folder.string()}};
}

}  // namespace stylescope
