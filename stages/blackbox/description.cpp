#include "stages/blackbox/description.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/sha256.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/script_box.hpp"

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kFormat = "stylescope.black_box.1";

// One number holds for every channel; none is `otherwise`.
std::vector<double> per_channel(const std::vector<double>& values, int64_t channels,
                                double otherwise, const char* key) {
  const auto count = static_cast<size_t>(channels);
  if (values.size() <= 1)
    return std::vector<double>(count, values.empty() ? otherwise : values.front());
  validate(values.size() == count, "classifier.", key, " has ", values.size(),
           " numbers, but f takes images of ", channels,
           " channel(s) (classifier.channels); give one, or one a channel");
  return values;
}

}  // namespace

std::string BlackBoxDescription::about() const {
  return kind == "torchscript" ? "the TorchScript file " + fs::path(source).filename().string()
                               : "the program '" + joined(command) + "'";
}

BlackBoxDescription describe_black_box(const BlackBoxConfig& config,
                                       const std::vector<std::string>& class_names,
                                       const std::vector<int64_t>& positive, int64_t run_resolution,
                                       int64_t run_channels) {
  SS_CHECK(!config.trained_here());
  BlackBoxDescription d;
  d.kind = config.kind;
  d.class_names = class_names;
  d.positive = positive;
  d.scores = config.scores;
  d.run_resolution = run_resolution;
  d.run_channels = run_channels;
  d.resolution = config.resolution > 0 ? config.resolution : run_resolution;
  d.channels = config.channels > 0 ? config.channels : run_channels;
  if (d.kind == "torchscript") {
    d.mean = per_channel(config.mean, d.channels, 0, "mean");
    d.stddev = per_channel(config.stddev, d.channels, 1, "std");
    d.file = fs::path(artifacts::black_box_script).filename().string();
    d.source = fs::absolute(config.file).lexically_normal().string();
    d.files = {{d.file, config.fingerprint()}};
    return d;
  }
  d.command = config.command;
  d.folder = fs::current_path().string();
  d.transport = config.transport;
  d.timeout = config.timeout;
  d.restarts = config.restarts;
  for (const auto& file : files_of_command(config.command, config.program_files))
    d.files.emplace_back(file, sha256_of_file(file));
  return d;
}

nlohmann::json to_json(const BlackBoxDescription& d) {
  nlohmann::json json{{"format", kFormat},
                      {"kind", d.kind},
                      {"class_names", d.class_names},
                      {"positive", d.positive},
                      {"scores", d.scores},
                      {"run", {{"resolution", d.run_resolution}, {"channels", d.run_channels}}},
                      {"resolution", d.resolution},
                      {"channels", d.channels},
                      {"files", nlohmann::json::array()}};
  for (const auto& [path, hash] : d.files)
    json["files"].push_back({{"path", path}, {"sha256", hash}});
  if (d.kind == "torchscript")
    json.update({{"mean", d.mean}, {"std", d.stddev}, {"file", d.file}, {"source", d.source}});
  else
    json.update({{"command", d.command},
                 {"folder", d.folder},
                 {"transport", d.transport},
                 {"timeout", d.timeout},
                 {"restarts", d.restarts}});
  return json;
}

BlackBoxDescription description_from(const nlohmann::json& json, const std::string& file) {
  try {
    validate(json.at("format") == kFormat, file, ": is no description of a classifier (its ",
             "format is not ", kFormat, "); run the classifier stage again");
    BlackBoxDescription d;
    json.at("kind").get_to(d.kind);
    validate(d.kind == "torchscript" || d.kind == "command", file, ": describes a classifier of ",
             "the kind '", d.kind, "', which is not known; run the classifier stage again");
    json.at("class_names").get_to(d.class_names);
    json.at("positive").get_to(d.positive);
    json.at("scores").get_to(d.scores);
    json.at("run").at("resolution").get_to(d.run_resolution);
    json.at("run").at("channels").get_to(d.run_channels);
    json.at("resolution").get_to(d.resolution);
    json.at("channels").get_to(d.channels);
    for (const auto& one : json.at("files"))
      d.files.emplace_back(one.at("path").get<std::string>(), one.at("sha256").get<std::string>());
    if (d.kind == "torchscript") {
      json.at("mean").get_to(d.mean);
      json.at("std").get_to(d.stddev);
      json.at("file").get_to(d.file);
      json.at("source").get_to(d.source);
    } else {
      json.at("command").get_to(d.command);
      json.at("folder").get_to(d.folder);
      json.at("transport").get_to(d.transport);
      json.at("timeout").get_to(d.timeout);
      json.at("restarts").get_to(d.restarts);
    }
    return d;
  } catch (const nlohmann::json::exception& error) {
    throw Error(file + ": is no whole description of a classifier (" + error.what() +
                "); run the classifier stage again");
  }
}

void save_black_box(const BlackBoxDescription& d, const fs::path& folder) {
  if (d.kind == "torchscript") {
    check_script(d.source);  // what is wrong with it is said of the user's own file
    publish_file(folder / d.file, [&](const fs::path& temporary) {
      std::error_code failure;
      fs::copy_file(d.source, temporary, fs::copy_options::overwrite_existing, failure);
      validate(!failure, d.source, ": cannot be copied to ", folder.string(), " (",
               failure.message(), ")");
    });
  }
  publish_text(folder / fs::path(artifacts::black_box).filename(), to_json(d).dump(2) + "\n");
}

BlackBoxDescription read_black_box(const fs::path& file) {
  const auto json = nlohmann::json::parse(read_text(file), nullptr, false);
  validate(json.is_object(), file.string(),
           ": is no JSON object (cut off or edited); run the classifier stage again");
  return description_from(json, file.string());
}

void check_unchanged(const BlackBoxDescription& d, const fs::path& folder) {
  for (const auto& [path, hash] : d.files) {
    const auto file = folder / path;  // a path that is absolute stays what it is
    validate(fs::is_regular_file(file), file.string(), ": is not there any more, and f is ",
             d.about(), "; put it back, or run the stages again from classifier on");
    validate(sha256_of_file(file) == hash, file.string(),
             ": is not what it was when the classifier stage tried f (", d.about(),
             "), so f is another now; put it back, or run the stages again from classifier on");
  }
}

}  // namespace stylescope
