#include "io/zip_archive.hpp"
#include "pipeline/inspect.hpp"
#include "stages/blackbox/load_script.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <torch/script.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

bool has_file(const std::vector<ZipEntry>& entries, const std::string& name) {
  return std::ranges::any_of(entries, [&](const ZipEntry& entry) {
    return entry.name == name || entry.name.ends_with("/" + name);
  });
}

Inspection inspect_script(const fs::path& file) {
  const auto module = load_script_module(file.string(), torch::kCPU);
  int64_t parameters = 0;
  for (const auto& parameter : module.parameters()) parameters += parameter.numel();
  Inspection functions = Inspection::array();
  for (const auto& method : module.get_methods()) {
    std::ostringstream schema;
    schema << method.function().getSchema();
    functions.push_back({{"function", schema.str()}});
  }
  Inspection values = Inspection::object();
  for (const auto& item : module.named_attributes(/*recurse=*/false))
    if (item.value.isInt() || item.value.isDouble() || item.value.isString() ||
        item.value.isList()) {
      std::ostringstream text;
      text << item.value;
      values[item.name] = text.str();
    }
  Inspection rows = Inspection::array();
  for (const auto& item : module.named_parameters())
    rows.push_back({{"name", item.name},
                    {"type", torch::toString(item.value.scalar_type())},
                    {"shape", item.value.sizes().vec()}});
  return {{"kind", "TorchScript"},
          {"parameters", parameters},
          {"functions", functions},
          {"values", values},
          {"content", rows}};
}

}  // namespace

Inspection inspect_archive(const fs::path& file) {
  const ZipArchive archive(file);
  const auto& entries = archive.entries();
  if (has_file(entries, "constants.pkl")) return inspect_script(file);
  if (has_file(entries, "data.pkl")) return inspect_state_dict(file);
  int64_t bytes = 0;
  std::map<std::string, int64_t> endings;
  for (const auto& entry : entries) {
    bytes += entry.bytes;
    ++endings[fs::path(entry.name).extension().string()];
  }
  Inspection result{{"kind", "zip"}, {"bytes_unpacked", bytes}};
  if (has_file(entries, "dataset.json"))
    result["kind"] = "zip of images, as StyleGAN2-ADA takes them";
  Inspection counts = Inspection::object();
  for (const auto& [ending, count] : endings) counts[ending.empty() ? "(none)" : ending] = count;
  result["files"] = counts;
  return result;
}

}  // namespace stylescope
