#include "io/base/error.hpp"
#include "io/base/split.hpp"
#include "io/log.hpp"
#include "pipeline/command_weights.hpp"
#include "pipeline/weights_file.hpp"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>

namespace stylescope {
namespace {

struct ImportCommand {
  std::string from, out, class_names, positive, mean, stddev;
  double clamp = -1;
  int64_t mbstd_group = 0;
  ImportOptions options;

  void prepare() {
    if (std::filesystem::exists(out))
      throw UsageError(out + ": is there already; choose another --out");
    options.class_names = split(class_names, ',');
    options.mean = reals("--mean", mean);
    options.stddev = reals("--stddev", stddev);
    for (const double k : reals("--positive", positive)) {
      if (k < 0 || k != std::floor(k))
        throw UsageError("--positive " + positive + ": classes are whole numbers from 0 on");
      options.positive.push_back(static_cast<int64_t>(k));
    }
    if (clamp >= 0) options.clamp = clamp;
    if (mbstd_group > 0) options.mbstd_group = mbstd_group;
  }

  static std::vector<double> reals(const char* option, const std::string& list) {
    std::vector<double> values;
    for (const auto& part : split(list, ',')) {
      double value = 0;
      const char* end = part.data() + part.size();
      const auto parsed = std::from_chars(part.data(), end, value);
      if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value))
        throw UsageError(std::string(option) + " " + list + ": '" + part +
                         "' is no number; give numbers with commas between them");
      values.push_back(value);
    }
    return values;
  }
};

}  // namespace

Task add_import(CLI::App& app) {
  auto command = std::make_shared<ImportCommand>();
  auto& options = command->options;
  app.add_option("FILE", command->from, "weights: .safetensors, or a state_dict of torch.save")
      ->required();
  app.add_option("--out", command->out, "the .safetensors file to make")->required();
  app.add_option("--as", options.kind,
                 "what it is to be. resnet: first weights for classifier.init and encoder.init")
      ->check(
          CLI::IsMember({"auto", "resnet", "classifier", "encoder", "generator", "discriminator"}))
      ->capture_default_str();
  app.add_option("--class-names", command->class_names, "classifier: names with commas between");
  app.add_option("--positive", command->positive,
                 "classifier: numbers of the positive classes (default: all but 0)");
  app.add_option("--mean", command->mean, "classifier: subtracted from x/255, a number a channel");
  app.add_option("--stddev", command->stddev, "classifier: what x/255 is divided by then");
  app.add_option("--resolution", options.resolution, "classifier: side of its images")
      ->check(CLI::Range(8, 1 << 14));
  app.add_option("--clamp", command->clamp,
                 "generator, discriminator: what activations are clamped to, 0 for none (the "
                 "reference's conv_clamp, which is in no tensor)")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--mbstd-group", command->mbstd_group,
                 "discriminator: images a group of its minibatch standard deviation")
      ->check(CLI::Range(1, 4096));
  app.footer(
      "Names are torchvision's (ResNet 18, 34, 50) and StyleGAN2-ADA's; its .pkl files are "
      "converted by tools/stylegan2_pkl_to_safetensors.py.");
  return {[command] { command->prepare(); },
          [command](Communicator& world) {
            on_root(world, [&] {
              const auto what = import_weights(command->from, command->out, command->options);
              log::info("imported: {}: {}", command->out, what);
            });
          }};
}

}  // namespace stylescope
