#pragma once

// The files by which stages hand over, relative to the run directory. A stage's own further files
// (logs, grids, checkpoints) are its own affair; what another stage reads is named here.
namespace stylescope::artifacts {

inline constexpr const char* images = "ingest/images.h5";         // io/image_set.hpp
inline constexpr const char* tiles = "tile/images.h5";            // the same
inline constexpr const char* bad_files = "ingest/bad_files.csv";  // path, reason
inline constexpr const char* classifier = "classifier/classifier.safetensors";
// Where f is no ResNet that the stage has trained (stages/blackbox/description.hpp).
inline constexpr const char* black_box = "classifier/black_box.json";
inline constexpr const char* black_box_script = "classifier/classifier.pt";
inline constexpr const char* generator = "gan/generator.safetensors";  // the moving average G_ema
inline constexpr const char* discriminator = "gan/discriminator.safetensors";
inline constexpr const char* sample_grid = "gan/samples.png";  // G_ema at the end
inline constexpr const char* real_grid = "gan/reals.png";
inline constexpr const char* pairs = "synthesize/pairs.h5";  // io/pair_set.hpp
inline constexpr const char* encoder = "encoder/encoder.safetensors";
inline constexpr const char* direction = "direction/direction.safetensors";
inline constexpr const char* explanations = "explain/explanations.h5";  // io/explanation_set.hpp
inline constexpr const char* evaluation = "evaluate/evaluation.json";
inline constexpr const char* report = "report/index.html";
// In every training stage's folder: one JSON object a line, no step twice, none missing.
inline constexpr const char* metrics_log = "metrics.jsonl";

}  // namespace stylescope::artifacts
