#include "io/base/error.hpp"
#include "io/log.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_directory.hpp"

#include <filesystem>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct ExplainCommand {
  std::string run_dir, out = "explanations", device;
  std::vector<std::string> images, overrides;
  Config config;

  void prepare() {
    const fs::path file = fs::path(run_dir) / "config.yaml";
    if (!fs::exists(file))
      throw UsageError(
          run_dir + ": is no run directory (it holds no config.yaml); name one such as runs/demo");
    if (!device.empty()) overrides.push_back("device=" + device);
    config = load_config(file, overrides);
    const RunDirectory directory(run_dir);
    for (const auto& stage : stages_of(config)) {
      if (stage.name != "explain") continue;
      for (const auto& input : stage.inputs)
        if (!directory.record(input))
          throw UsageError(directory.stage(input).string() +
                           ": is not there yet; run 'stylescope run' to the end of stage '" +
                           input + "' first");
    }
    for (const auto& image : images)
      if (!fs::exists(image)) throw UsageError(image + ": is not there");
    if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out)))
      throw UsageError(out + ": is there already; choose another --out");
  }

  void run(Communicator& world) {
    StopSignal stop;
    const Launch at = launch(world, stop, config.device, config.precision, config.threads);
    on_root(world, [&] {
      std::error_code failure;
      fs::create_directories(out, failure);
      validate(!failure, out, ": cannot be made (", failure.message(), "); choose another --out");
    });
    RunContext context{world,   at.device, at.dtype, static_cast<uint64_t>(config.seed),
                       run_dir, out,       stop};
    explain_images(config.explain, context, {images.begin(), images.end()}, out);
    log::info("explained: {}", out);
  }
};

}  // namespace

Task add_explain(CLI::App& app) {
  auto command = std::make_shared<ExplainCommand>();
  app.add_option("RUN_DIR", command->run_dir, "a finished run, such as runs/demo")->required();
  app.add_option("IMAGE", command->images, "pictures (PNG, JPEG, TIFF)")->required();
  app.add_option("--out", command->out, "folder for explanations.h5, strips and index.html")
      ->capture_default_str();
  app.add_option("--device", command->device, "instead of the run's")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--set", command->overrides,
                 "section.key=value, over the run's configuration; may be repeated")
      ->allow_extra_args(false);
  return {[command] { command->prepare(); },
          [command](Communicator& world) { command->run(world); }};
}

}  // namespace stylescope
