#include "io/base/error.hpp"
#include "io/base/split.hpp"
#include "io/log.hpp"
#include "io/sha256.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/launch.hpp"
#include "stages/quality/quality_report.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

const std::vector<std::string> kFigures{"fd", "kid", "pr", "ppl", "memorisation"};

struct MetricsCommand {
  std::string run_dir, weights, features, inception, feature_input, figures, out, device;
  int64_t seed = -1, suspects = 16, threads = 0;
  bool json = false;
  MetricsConfig quality;
  Config config;

  void prepare() {
    const fs::path file = fs::path(run_dir) / "config.yaml";
    if (!fs::exists(file))
      throw UsageError(
          run_dir + ": is no run directory (it holds no config.yaml); name one such as runs/demo");
    std::vector<std::string> overrides;
    if (!device.empty()) overrides.push_back("device=" + device);
    if (threads > 0) overrides.push_back("threads=" + std::to_string(threads));
    config = load_config(file, overrides);
    if (seed < 0) seed = config.seed;
    if (out.empty()) out = (fs::path(run_dir) / "quality").string();
    quality.figures = figures.empty() ? kFigures : split(figures, ',');
    choose_features();
    quality.check("--", kFigures);
    choose_weights();
    const auto images = fs::path(run_dir) / config.images_file();
    if (!fs::exists(images))
      throw UsageError(images.string() + ": is not there yet; run 'stylescope run' to the end of " +
                       "stage '" + config.images + "' first");
  }

  void choose_features() {
    if (!features.empty() && !inception.empty())
      throw UsageError("metrics: --features and --inception exclude each other; give one of them");
    const auto& given = inception.empty() ? features : inception;
    choose_input(given);
    if (given.empty()) {
      if (!config.classifier.black_box.trained_here())
        throw UsageError(
            "metrics: f of this run (classifier.kind: " + config.classifier.black_box.kind +
            ") shows its answers alone, and no features to compare images by; give a feature "
            "network: --features FILE.pt");
      const auto file = fs::path(run_dir) / artifacts::classifier;
      if (!fs::exists(file))
        throw UsageError(file.string() +
                         ": is not there yet (images are compared by the classifier's features); "
                         "run 'stylescope run' to the end of stage 'classifier' first, or give a "
                         "feature network: --features FILE.pt");
      return;
    }
    if (!fs::exists(given)) throw UsageError(given + ": is not there; name a TorchScript file");
    quality.features = inception.empty() ? "script" : "inception";
    quality.feature_file = given;
  }

  void choose_input(const std::string& file) {
    if (feature_input.empty()) return;
    if (file.empty())
      throw UsageError(
          "metrics: --feature-input says how --features FILE.pt takes its images, and there is "
          "none; give it, or leave --feature-input out");
    if (!inception.empty() && feature_input != "uint8")
      throw UsageError("metrics: --feature-input is " + feature_input +
                       ", but the published Inception takes bytes; leave it out");
    quality.feature_input = feature_input;
  }

  // The finished generator, or else the newest snapshot of one that is being trained.
  void choose_weights() {
    if (!weights.empty()) {
      if (!fs::exists(weights)) throw UsageError(weights + ": is not there");
      return;
    }
    const auto finished = fs::path(run_dir) / artifacts::generator;
    weights = finished.string();
    if (fs::exists(finished)) return;
    const auto folder = fs::path(run_dir) / "gan.partial" / "snapshots";
    std::vector<fs::path> snapshots;
    if (fs::is_directory(folder))
      for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".safetensors") snapshots.push_back(entry.path());
    if (snapshots.empty())
      throw UsageError(finished.string() + ": is not there yet, and " + folder.string() +
                       " holds no snapshot; run 'stylescope run' to stage 'gan' first, or give "
                       "--weights FILE.safetensors");
    weights = std::ranges::max_element(snapshots)->string();
  }

  void run(Communicator& ranks) {
    // There is nothing to save: signals end the process as ever.
    StopSignal stop(StopSignal::Hearing::deaf);
    const Launch at = launch(ranks, stop, config.device, config.precision, config.threads,
                             config.distributed.backend);
    auto& world = at.world;
    world.set_deadlines(config.distributed.deadlines());
    on_root(world, [&] {
      std::error_code failure;
      fs::create_directories(out, failure);
      validate(!failure, out, ": cannot be made (", failure.message(), "); choose another --out");
    });
    // While gan is at work, snapshots come and go between two ranks' looks.
    weights = world.broadcast(weights, 0);
    RunContext context{world,   at.device, at.dtype, static_cast<uint64_t>(seed),
                       run_dir, out,       stop,     config.images_file()};
    log::info("metrics: of {}", weights);
    const ImageSet images(context.images_file(), Access::training);
    const auto generator = load_generator(weights, context.device, context.dtype);
    const auto network = make_feature_network(quality, context);
    QualityMeter meter(quality, images, *network, context);
    QualityReport report = describe(images, *network);
    report.result = meter.measure(generator);
    if (quality.wants("memorisation")) {
      auto found = find_memorised(meter.real_features(), report.result.generated, suspects, world);
      on_root(world, [&] {
        GeneratedImages source(generator, images, quality, context);
        report.memorisation =
            memorisation_report(std::move(found), source, images, meter.real_rows(), quality.batch);
      });
    }
    on_root(world, [&] { publish(report); });
  }

  QualityReport describe(const ImageSet& images, const FeatureNetwork& network) const {
    QualityReport report;
    report.generator = weights;
    report.generator_sha256 = sha256_of_file(weights);
    report.images = (fs::path(run_dir) / config.images_file()).string();
    report.images_id = images.id();
    report.features = network.name();
    report.features_file = network.file();
    report.features_sha256 = network.sha256();
    report.config = quality;
    report.seed = static_cast<uint64_t>(seed);
    report.precision = config.precision;
    return report;
  }

  void publish(const QualityReport& report) const {
    for (const auto& warning : report.result.warnings) log::warn("{}", warning);
    write_quality_report(report, out);
    if (json)
      std::cout << to_json(report).dump(2) << std::endl;
    else
      std::cout << quality_table(report) << std::flush;
    log::info("metrics: {}", (fs::path(out) / "index.html").string());
  }
};

void add_features(CLI::App& app, const std::shared_ptr<MetricsCommand>& command) {
  app.add_option("--features", command->features,
                 "TorchScript file: images (N, 3, H, W) to features (N, d), instead of the run's "
                 "classifier");
  app.add_option("--inception", command->inception,
                 "TorchScript file of the published Inception: figures are then called FID and "
                 "KID");
  app.add_option("--feature-input", command->feature_input,
                 "what --features takes: bytes, [0, 1], [-1, 1], or ImageNet's normalisation")
      ->check(CLI::IsMember({"uint8", "unit", "symmetric", "imagenet"}))
      ->default_str("uint8");
}

}  // namespace

Task add_metrics(CLI::App& app) {
  auto command = std::make_shared<MetricsCommand>();
  auto& quality = command->quality;
  app.add_option("RUN_DIR", command->run_dir, "a run whose gan stage is finished or at work")
      ->required();
  app.add_option("--weights", command->weights,
                 "another generator (.safetensors) than the run's own; while gan is at work: than "
                 "its newest snapshot");
  add_features(app, command);
  app.add_option("--figures", command->figures,
                 "some of fd (Frechet distance), kid (kernel distance), pr (precision and "
                 "recall), ppl (path length in W), memorisation; default: all");
  app.add_option("--images", quality.images, "how many images are generated")
      ->check(CLI::Range(2, 100'000'000))
      ->capture_default_str();
  app.add_option("--real", quality.real_images,
                 "training images they are compared with, drawn by the seed; 0: all")
      ->check(CLI::Range(0, 100'000'000))
      ->capture_default_str();
  app.add_option("--seed", command->seed, "of latents, noise and subsets; default: the run's")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--psi", quality.psi, "truncation: 1 none, 0 the average image")
      ->capture_default_str();
  app.add_option("--noise", quality.noise, "per-pixel noise of the generated images")
      ->check(CLI::IsMember({"random", "constant"}))
      ->capture_default_str();
  app.add_option("--suspects", command->suspects,
                 "how many of the generated images nearest to training images are shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--json", command->json, "quality.json on standard output instead of a table");
  app.add_option("--out", command->out,
                 "folder for quality.json, quality.csv, index.html and memorisation.png; default: "
                 "RUN_DIR/quality");
  app.add_option("--batch", quality.batch, "images a call of a network on a rank")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--device", command->device, "instead of the run's")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--threads", command->threads, "CPU threads a rank; 0: as the run")
      ->check(CLI::Range(0, 4096));
  app.footer(
      "Examples:\n"
      "  stylescope metrics runs/demo\n"
      "  stylescope metrics runs/demo --figures fd,kid --images 50000 --inception inception.pt\n"
      "  mpirun -n 4 stylescope metrics runs/demo --weights "
      "runs/demo/gan/best.safetensors --out best");
  return {[command] { command->prepare(); },
          [command](Communicator& world) { command->run(world); }};
}

}  // namespace stylescope
