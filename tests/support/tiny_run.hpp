#pragma once

#include "distributed/communicator.hpp"
#include "distributed/random.hpp"
#include "distributed/stop_signal.hpp"
#include "io/image_set.hpp"
#include "io/pair_set.hpp"
#include "stages/artifacts.hpp"
#include "stages/latent/direction_file.hpp"
#include "stages/latent/trained_networks.hpp"
#include "stages/metrics/agreement.hpp"
#include "stages/metrics/logistic_regression.hpp"
#include "stages/networks/resnet_io.hpp"
#include "stages/phantom/knee_phantom.hpp"
#include "stages/run_context.hpp"
#include "tests/support/temp_dir.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// A run directory as the earlier stages would leave it, made in a second: phantom knees of 16x16, a
// random generator (w of 16), a random classifier and encoder (ResNet18 of width 4), pairs, and a
// direction fitted to f. The classifier's head is scaled so that its scores on generated images
// spread over both sides of one half: along the direction f really changes.
namespace stylescope::testing_support {

struct TinyRunOptions {
  int64_t subjects = 24;  // two images each; a third of them in each split
  int64_t pairs = 96;
  bool conditional = false;  // the generator
  std::vector<std::string> label_names = {"wide", "narrow"};
};

// One directory that all ranks share; the root makes it and removes it when all are through.
class TinyRun {
 public:
  explicit TinyRun(Communicator& world, const TinyRunOptions& options = {}) : world_(world) {
    if (world.is_root()) {
      dir_ = std::make_unique<TempDir>();
      make(options);
    }
    path_ = world.broadcast(dir_ ? dir_->path().string() : std::string(), 0);
  }
  ~TinyRun() { world_.barrier(); }
  TinyRun(const TinyRun&) = delete;
  TinyRun& operator=(const TinyRun&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // For a stage that writes to the folder `out` of this directory (made here).
  RunContext context(Communicator& ranks, const std::string& out,
                     torch::Dtype dtype = torch::kFloat64) {
    if (ranks.is_root()) std::filesystem::create_directories(path_ / out);
    ranks.barrier();
    return {ranks, torch::kCPU, dtype, 5, path_, path_ / out, stop_};
  }

 private:
  static constexpr int64_t kSide = 16, kLatent = 16;

  void make(const TinyRunOptions& options) {
    const auto& root = dir_->path();
    for (const char* stage : {"ingest", "classifier", "gan", "synthesize", "encoder", "direction"})
      std::filesystem::create_directories(root / stage);
    make_images(root, options);
    auto generator = make_generator(root, options);
    const auto w = make_pairs(root, options, generator);
    make_encoder(root, w);
    make_classifier(root, options, generator, w);
  }

  static void make_images(const std::filesystem::path& root, const TinyRunOptions& options) {
    ImageSetWriter writer(root / artifacts::images, 1, kSide, kSide, options.label_names,
                          R"({"source":"phantom"})");
    for (int64_t i = 0; i < 2 * options.subjects; ++i) {
      const auto factors = knee_factors(3, i / 2, i % 2);
      ImageRecord record;
      record.label = factors.label();
      // Subjects of both labels in every split: labels alternate from one subject to the next.
      record.split = static_cast<Split>(i / 4 % 3);
      record.subject = "s" + std::to_string(i / 2);
      record.path = "knees/" + record.subject + "-" + std::to_string(i % 2) + ".png";
      record.attributes = factors.attributes();
      writer.append(draw_knee(factors, kSide, 3, i / 2, i % 2), record);
    }
    writer.close();
  }

  static Generator make_generator(const std::filesystem::path& root,
                                  const TinyRunOptions& options) {
    GeneratorOptions g;
    g.z_dim = g.w_dim = kLatent;
    g.c_dim = options.conditional ? static_cast<int64_t>(options.label_names.size()) : 0;
    g.resolution = kSide;
    g.image_channels = 1;
    g.channel_base = 128;
    g.channel_max = 8;
    g.mapping_layers = 2;
    Generator generator(g);
    initialize(generator, 11);
    save_generator((root / artifacts::generator).string(), generator);
    return load_generator((root / artifacts::generator).string(), torch::kCPU, torch::kFloat64);
  }

  static torch::Tensor make_pairs(const std::filesystem::path& root, const TinyRunOptions& options,
                                  Generator& generator) {
    torch::NoGradGuard no_grad;
    std::vector<int64_t> samples;
    for (int64_t i = 0; i < options.pairs; ++i) samples.push_back(i);
    const auto z = keyed_normal({2, "test.z", 0}, samples, {kLatent}, torch::kFloat64);
    const auto c = torch::one_hot(torch::arange(options.pairs) %
                                  static_cast<int64_t>(options.label_names.size()))
                       .to(torch::kFloat64);
    const auto w = generator->map(z, options.conditional ? c : torch::Tensor());
    PairShardWriter shard(root / "synthesize" / "pairs-0-of-1.h5", options.pairs, kLatent,
                          torch::kFloat64, 1, kSide, kSide);
    shard.append(w, pictures_of(generator, w), torch::tensor(samples));
    write_pair_index(root / artifacts::pairs, {shard.close()});
    return w;
  }

  static ResNet make_resnet(int64_t outputs, uint64_t seed) {
    ResNetOptions options;
    options.depth = 18;
    options.stem = "small";
    options.input_channels = 1;
    options.outputs = outputs;
    options.width = 4;
    ResNet network(options);
    initialize(network, seed, false);
    network->eval();
    return network;
  }

  static void make_encoder(const std::filesystem::path& root, const torch::Tensor& w) {
    Encoder encoder;
    encoder.network = make_resnet(kLatent, 12);
    encoder.w_mean = w.mean(0).to(torch::kFloat32);
    encoder.w_scale = w.std(0).to(torch::kFloat32);
    encoder.resolution = kSide;
    save_encoder((root / artifacts::encoder).string(), encoder);
  }

  static void make_classifier(const std::filesystem::path& root, const TinyRunOptions& options,
                              Generator& generator, const torch::Tensor& w) {
    torch::NoGradGuard no_grad;
    Classifier f;
    f.network = make_resnet(static_cast<int64_t>(options.label_names.size()), 13);
    f.class_names = options.label_names;
    f.positive = {1};
    f.mean = {0.5};
    f.stddev = {0.25};
    f.resolution = kSide;
    const auto pictures = pictures_of(generator, w);
    const auto spread = logit_of(f.scores(pictures));
    const double scale = 1.5 / spread.std().item<double>();
    for (auto& [name, tensor] : state_dict(f.network)) {
      if (name == "fc.weight" || name == "fc.bias") tensor.mul_(scale);
      if (name == "fc.bias") tensor[1] -= scale * spread.mean().item<double>();
    }
    save_classifier((root / artifacts::classifier).string(), f);
    make_direction(root, f.scores(pictures), w);
  }

  static void make_direction(const std::filesystem::path& root, const torch::Tensor& scores,
                             const torch::Tensor& w) {
    const auto fitted = fit_logistic_regression(w, scores.ge(0.5).to(torch::kLong), 1);
    Direction direction;
    direction.alpha = fitted.coefficients;
    direction.beta = fitted.intercept;
    direction.unit = direction.alpha / direction.alpha.norm();
    direction.projection_mean = w.matmul(direction.unit).mean().item<double>();
    direction.projection_sd = w.matmul(direction.unit).std().item<double>();
    direction.scores = scores;
    direction.logits = fitted.decision(w);
    direction.held_out = torch::zeros({scores.numel()}, torch::kUInt8);
    direction.held_out.slice(0, scores.numel() * 3 / 4).fill_(1);
    save_direction(root / artifacts::direction, direction);
  }

  Communicator& world_;
  std::unique_ptr<TempDir> dir_;
  std::filesystem::path path_;
  StopSignal stop_;
};

}  // namespace stylescope::testing_support
