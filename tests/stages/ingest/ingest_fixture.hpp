#pragma once

#include "distributed/communicator.hpp"
#include "distributed/stop_signal.hpp"
#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "stages/ingest/ingest_stage.hpp"
#include "stages/run_context.hpp"
#include "tests/support/temp_dir.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <torch/torch.h>

namespace stylescope::testing_support {

// A folder of pictures and a run directory, both temporary.
struct IngestFixture {
  TempDir dir;
  SelfCommunicator world;
  StopSignal stop;

  std::filesystem::path pictures() const { return dir / "pictures"; }

  IngestConfig config() const {
    IngestConfig c;
    c.source = "folder";
    c.path = pictures().string();
    c.resolution = 16;
    c.threads = 1;
    c.keep_ids = true;  // most tests look for the names that they gave
    return c;
  }

  // A grey picture of one brightness; the folders above it are made.
  void add(const std::string& path, int64_t brightness = 100, int64_t size = 20) const {
    std::filesystem::create_directories((pictures() / path).parent_path());
    write_png(pictures() / path, torch::full({1, size, size}, brightness, torch::kUInt8));
  }
  void add_bytes(const std::string& path, const std::string& bytes) const {
    std::filesystem::create_directories((pictures() / path).parent_path());
    std::ofstream(pictures() / path, std::ios::binary) << bytes;
  }
  // `per_class` pictures of classes "a" and "b", of one subject each.
  void add_classes(int per_class) const {
    for (int i = 0; i < per_class; ++i)
      for (const std::string label : {"a", "b"})
        add(label + "/" + label + std::to_string(100 + i) + ".png", 2 * i);
  }

  // Runs the stage into dir/<name>.
  nlohmann::json run(const IngestConfig& c, const std::string& name = "ingest") {
    std::filesystem::create_directories(dir / name);
    RunContext context{
        .world = world, .seed = 7, .run_dir = dir.path(), .out_dir = dir / name, .stop = stop};
    return run_ingest(c, context);
  }
  // What the stage says when it fails; empty when it does not.
  std::string failure(const IngestConfig& c, const std::string& name = "ingest") {
    try {
      run(c, name);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
};

}  // namespace stylescope::testing_support
