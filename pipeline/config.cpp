#include "pipeline/config.hpp"

#include "io/base/error.hpp"
#include "io/config_json.hpp"
#include "pipeline/config_dump.hpp"
#include "pipeline/config_reader.hpp"
#include "pipeline/config_text.hpp"
#include "pipeline/config_tree.hpp"

namespace stylescope {
namespace {

void check_name(const Config& config, const ConfigNode& root, const std::string& file) {
  const bool fine = !config.name.empty() && config.name.front() != '.' &&
                    config.name.find_first_of("/\\ \t\n") == std::string::npos;
  if (fine) return;
  const auto* node = root.find("name");
  throw UsageError((node ? node->where : file) +
                   ": key 'name' must be usable as a folder name (no slash, no space, no " +
                   "leading dot), but is '" + config.name + "'");
}

// The section of the stage that does not run is a mistake, and which one is meant can be told.
void check_images_section(const ConfigNode& root) {
  const auto* images = root.find("images");
  const bool tile = images && images->text == "tile";
  const std::string other = tile ? "ingest" : "tile";
  const auto* section = root.find(other);
  if (!section) return;
  throw UsageError(section->where + ": section '" + other + "' is given, and key 'images' says '" +
                   (tile ? "tile" : "ingest") + "'" + (images ? "" : " (its default)") + "; " +
                   (tile ? "remove the section, or say images: ingest"
                         : "say images: tile, or remove the section"));
}

void check_section(const std::string& name, const std::function<void()>& check,
                   const ConfigNode& root, const std::string& file) {
  try {
    check();
  } catch (const UsageError& error) {
    const auto* section = root.find(name);
    throw UsageError((section ? section->where : file) + ": " + error.what());
  }
}

Config read_config(const ConfigNode& root) {
  check_images_section(root);
  Config config;
  ConfigReader reader(root);
  config.describe(reader);
  reader.finish();
  return config;
}

}  // namespace

void Config::describe(Fields& f) {
  f.field("name", name, "name of the run; '': the name of the configuration file");
  f.field("run_dir", run_dir, "where the run's files go; '': runs/<name>");
  f.field("seed", seed, {0, std::numeric_limits<int64_t>::max()},
          "all random numbers follow from it");
  f.choice("device", device, {"auto", "cpu", "cuda"}, "auto: the GPUs when there are any");
  f.choice("precision", precision, {"float32", "float64"}, "float64 is for tests");
  f.field("threads", threads, {0, 4096},
          "CPU threads a rank; 0: the cores shared out among the ranks of a host");
  f.choice("images", images, {"ingest", "tile"},
           "what makes images.h5: ingest (pictures) or tile (whole-slide images)");
  f.section("distributed", distributed, "ranks: how they watch one another and exchange");
  slurm.stage_names.clear();
  for (const auto& stage : stages_of(*this)) slurm.stage_names.push_back(stage.name);
  f.section("slurm", slurm, "what submit asks a Slurm cluster for");
  for (auto& stage : stages_of(*this)) f.section(stage.name.c_str(), stage, stage.help.c_str());
}

std::string Config::images_file() const {
  return images == "tile" ? artifacts::tiles : artifacts::images;
}

Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  const auto text = read_config_text(file, "name a configuration file such as configs/demo.yaml");
  ConfigNode root = parse_config(text, file.string());
  for (const auto& assignment : overrides) apply_override(root, assignment);

  Config config = read_config(root);
  if (config.name.empty()) config.name = file.stem().string();
  check_name(config, root, file.string());
  if (config.run_dir.empty())
    config.run_dir = (std::filesystem::path("runs") / config.name).string();
  check_section(
      "slurm", [&] { config.slurm.check(); }, root, file.string());
  for (const auto& stage : stages_of(config))
    if (stage.check) check_section(stage.name, stage.check, root, file.string());
  return config;
}

Config default_config(const std::vector<std::string>& overrides) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::section;
  for (const auto& assignment : overrides) apply_override(root, assignment);
  return read_config(root);
}

nlohmann::ordered_json to_json(Config& config) {
  JsonDumper dumper;
  config.describe(dumper);
  return dumper.result();
}

std::string to_yaml(Config& config, bool comments) {
  YamlDumper dumper(comments);
  config.describe(dumper);
  return dumper.result();
}

}  // namespace stylescope
