#pragma once

#include "io/base/fields.hpp"
#include "pipeline/distributed_config.hpp"
#include "pipeline/stage.hpp"
#include "slurm/slurm_config.hpp"
#include "stages/classifier/classifier_stage.hpp"
#include "stages/direction/direction_stage.hpp"
#include "stages/encoder/encoder_stage.hpp"
#include "stages/evaluate/evaluate_stage.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/gan/gan_stage.hpp"
#include "stages/ingest/ingest_stage.hpp"
#include "stages/report/report_stage.hpp"
#include "stages/synthesize/synthesize_stage.hpp"
#include "stages/tile/tile_stage.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// A run's whole configuration: what all stages share, and one section a stage.
struct Config {
  std::string name;     // "": the configuration file's name
  std::string run_dir;  // "": runs/<name>
  int64_t seed = 0;
  std::string device = "auto";
  std::string precision = "float32";
  int64_t threads = 0;
  std::string images = "ingest";  // the stage that makes images.h5: ingest | tile
  DistributedConfig distributed;
  SlurmConfig slurm;

  IngestConfig ingest;  // one of these two
  TileConfig tile;
  ClassifierConfig classifier;
  GanConfig gan;
  SynthesizeConfig synthesize;
  EncoderConfig encoder;
  DirectionConfig direction;
  ExplainConfig explain;
  EvaluateConfig evaluate;
  ReportConfig report;

  void describe(Fields& f);
  // images.h5, relative to the run directory.
  std::string images_file() const;
};

// The only list of stages, in data-flow order; the first makes the images. They are bound to
// `config`, which must outlive them.
std::vector<Stage> stages_of(Config& config);

// Reads and checks everything; fills in name and run_dir. Throws UsageError, one line, naming file,
// line and key.
Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides);

// All defaults but for the overrides (images=tile shows that stage's section), unchecked. Throws
// UsageError for an override that does not fit.
Config default_config(const std::vector<std::string>& overrides);

nlohmann::ordered_json to_json(Config& config);
// Loads back to the same values. `comments`: help and ranges above each key.
std::string to_yaml(Config& config, bool comments);

}  // namespace stylescope
