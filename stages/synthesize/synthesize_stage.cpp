#include "stages/synthesize/synthesize_stage.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "io/pair_set.hpp"
#include "stages/artifacts.hpp"
#include "stages/latent/batches.hpp"
#include "stages/latent/trained_networks.hpp"

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// The labels of the training images: a conditional generator is asked for classes as often as it
// was shown them.
std::vector<int64_t> training_labels(const fs::path& file, int64_t classes) {
  const ImageSet images(file, Access::training);
  validate(static_cast<int64_t>(images.label_names().size()) == classes, file.string(), ": has ",
           images.label_names().size(), " classes, but the generator was trained for ", classes,
           "; run the gan stage again on these images");
  std::vector<int64_t> labels;
  for (const auto row : images.indices(Split::train)) labels.push_back(images.record(row).label);
  validate(!labels.empty(), file.string(),
           ": has no training images; check the split fractions of ingest");
  return labels;
}

class LatentSource {
 public:
  LatentSource(Generator& generator, const SynthesizeConfig& config, const RunContext& context)
      : generator_(generator), psi_(config.psi), context_(context) {
    const int64_t classes = generator->options().c_dim;
    if (classes > 0) labels_ = training_labels(context.images_file(), classes);
  }

  // (n, w_dim) of these sample numbers.
  torch::Tensor w(const std::vector<int64_t>& samples) {
    torch::NoGradGuard no_grad;
    const auto z = keyed_normal({context_.seed, "synthesize.z", 0}, samples,
                                {generator_->options().z_dim}, context_.options());
    const auto w = generator_->map(z, labels_.empty() ? torch::Tensor() : one_hot(samples));
    return psi_ == 1 ? w : generator_->w_avg() + psi_ * (w - generator_->w_avg());
  }

 private:
  torch::Tensor one_hot(const std::vector<int64_t>& samples) const {
    std::vector<int64_t> classes;
    for (const auto sample : samples) {
      const auto bound = static_cast<int64_t>(labels_.size());
      const auto image = keyed_integer({context_.seed, "synthesize.class", 0}, bound, sample);
      classes.push_back(labels_[static_cast<size_t>(image)]);
    }
    return torch::one_hot(torch::tensor(classes, torch::kLong), generator_->options().c_dim)
        .to(context_.options());
  }

  Generator& generator_;
  double psi_;
  const RunContext& context_;
  std::vector<int64_t> labels_;
};

// The shard's figures by all_gather of texts: name, rows, bytes and hash of every rank on every
// rank.
std::vector<PairShard> gather(Communicator& world, const PairShard& mine) {
  const nlohmann::json text{
      {"file", mine.file}, {"rows", mine.rows}, {"bytes", mine.bytes}, {"sha256", mine.sha256}};
  std::vector<PairShard> shards;
  for (const auto& shard : world.all_gather(text.dump())) {
    const auto j = nlohmann::json::parse(shard);
    shards.push_back({j.at("file"), j.at("rows"), j.at("bytes"), j.at("sha256")});
  }
  return shards;
}

}  // namespace

void SynthesizeConfig::describe(Fields& f) {
  f.field("samples", samples, {2, 100'000'000}, "pairs (w, G(w)) to make");
  f.field("batch", batch, {1, 65536},
          "images a call of G on a rank; the samples do not depend on it");
  f.field("psi", psi, {-4, 4}, "truncation: w_avg + psi (w - w_avg); 1: none, as in the paper");
}

nlohmann::json run_synthesize(const SynthesizeConfig& config, RunContext& context) {
  auto& world = context.world;
  auto generator = load_generator((context.run_dir / artifacts::generator).string(), context.device,
                                  context.dtype);
  const auto& g = generator->options();
  LatentSource latents(generator, config, context);

  const auto mine = whole_batches(config.samples, config.batch, world.rank(), world.size());
  const auto name =
      "pairs-" + std::to_string(world.rank()) + "-of-" + std::to_string(world.size()) + ".h5";
  PairShardWriter shard(context.out_dir / name, mine.size(), g.w_dim, context.dtype,
                        g.image_channels, g.resolution, g.resolution);
  for_each_batch(context, "synthesize", config.samples, config.batch, [&](IndexRange samples) {
    const auto numbers = indices_of(samples);
    const auto w = latents.w(numbers);
    shard.append(w.cpu(), pictures_of(generator, w), torch::tensor(numbers, torch::kLong));
  });
  const auto shards = gather(world, shard.close());
  on_root(world, [&] {
    write_pair_index(context.out_dir / fs::path(artifacts::pairs).filename(), shards);
  });
  return {{"samples", config.samples},
          {"w_dim", g.w_dim},
          {"resolution", g.resolution},
          {"shards", world.size()}};
}

}  // namespace stylescope
