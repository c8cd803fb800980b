#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/given_pictures.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_directory.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct ExplainCommand {
  std::string run_dir, out = "explanations", device, slide;
  std::vector<std::string> images, overrides;
  std::vector<std::string> at;  // "x,y"
  std::vector<std::array<double, 2>> places;
  PictureOptions picture;
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
    check_places();
    GivenPictures(config, picture);
    if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out)))
      throw UsageError(out + ": is there already; choose another --out");
  }

  void check_places() {
    for (const auto& text : at) {
      std::array<double, 2> place{};
      char* end = nullptr;
      place[0] = std::strtod(text.c_str(), &end);
      const bool comma = end != text.c_str() && *end == ',';
      const char* second = end + 1;
      if (comma) place[1] = std::strtod(second, &end);
      if (!comma || end == second || *end != '\0')
        throw UsageError("--at " + text + ": is no place; give two numbers, like --at 10240,8192");
      places.push_back(place);
    }
    if (slide.empty() && images.empty())
      throw UsageError("explain: name pictures, or a slide and places on it (--slide S --at X,Y)");
    if (slide.empty() != places.empty())
      throw UsageError("explain: --slide and --at go together: --slide S.svs --at 10240,8192");
    if (slide.empty()) return;
    if (!fs::exists(slide)) throw UsageError(slide + ": is not there");
    if (config.images != "tile")
      throw UsageError(run_dir +
                       ": was made of pictures (images: ingest), so nothing says how many "
                       "micrometres of a slide its images show; give a picture instead of --slide");
  }

  std::vector<GivenImage> given(const PictureSettings& settings) const {
    std::vector<GivenImage> given;
    const GivenPictures pictures(config, picture, settings);
    for (const auto& image : images) given.push_back(pictures.of(image));
    for (const auto& place : places) {
      const std::string at = number(place[0]) + "," + number(place[1]);
      given.push_back({fs::path(slide).filename().string() + " at " + at, slide + " at " + at,
                       [this, place](int64_t) {
                         return read_place(config.tile, static_cast<uint64_t>(config.seed), slide,
                                           place[0], place[1]);
                       }});
    }
    return given;
  }

  static std::string number(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
  }

  void run(Communicator& world) {
    StopSignal stop;
    const Launch at = launch(world, stop, config.device, config.precision, config.threads,
                             config.distributed.backend);
    at.world.set_deadlines(config.distributed.deadlines());
    on_root(world, [&] {
      std::error_code failure;
      fs::create_directories(out, failure);
      validate(!failure, out, ": cannot be made (", failure.message(), "); choose another --out");
    });
    RunContext context{at.world, at.device, at.dtype, static_cast<uint64_t>(config.seed),
                       run_dir,  out,       stop,     config.images_file()};
    const std::string assumed = GivenPictures(config, picture).assumption();
    if (!assumed.empty() && !images.empty()) log::info("explain: {}", assumed);
    // Pictures are read as the run read its own.
    const PictureSettings settings = config.ingest.pictures();
    explain_images(config.explain, context, given(settings), out);
    if (const auto dark = settings.tally->warning(); !dark.empty() && world.is_root())
      log::warn("explain: {}", dark);
    log::info("explained: {}", out);
  }
};

}  // namespace

Task add_explain(CLI::App& app) {
  auto command = std::make_shared<ExplainCommand>();
  app.add_option("RUN_DIR", command->run_dir, "a finished run, such as runs/demo")->required();
  app.add_option("IMAGE", command->images, "pictures (PNG, JPEG, TIFF, DICOM)");
  app.add_option("--side", command->picture.side,
                 "which knee: L or R; cuts and mirrors a film as the run's ingest did")
      ->check(CLI::IsMember({"L", "R"}));
  app.add_option("--box", command->picture.box,
                 "X,Y,WIDTH,HEIGHT: the part of each picture that is explained, in its pixels");
  app.add_option("--slide", command->slide,
                 "a whole-slide image; --at says which places on it are explained");
  app.add_option("--at", command->at,
                 "X,Y: the middle of the place, in pixels of level 0; may be repeated")
      ->allow_extra_args(false);
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
