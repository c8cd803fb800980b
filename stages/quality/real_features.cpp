#include "stages/quality/real_features.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/safetensors.hpp"
#include "io/sha256.hpp"
#include "stages/latent/batches.hpp"

#include <algorithm>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kFormat = "stylescope.features.2";

// "" where nothing tells the content of images.h5 from another's (files of version 1).
fs::path cache_file(const ImageSet& images, const std::vector<int64_t>& rows,
                    const FeatureNetwork& network, const MetricsConfig& config,
                    const RunContext& context) {
  if (images.id().empty()) return {};
  Sha256 key;
  const auto add = [&key](const std::string& text) { key.update(text + "\n"); };
  add(kFormat);
  add(images.id());
  add(network.name());
  add(network.sha256());
  add(config.feature_input);
  key.update(rows.data(), rows.size() * sizeof(int64_t));
  add(std::to_string(config.batch));
  add(c10::toString(context.dtype));
  add(context.device.is_cuda() ? "cuda" : "cpu " + std::to_string(at::get_num_threads()));
  return context.run_dir / "quality" / "cache" / (key.finish().substr(0, 32) + ".safetensors");
}

std::string sha256_of_values(const torch::Tensor& features) {
  const auto values = features.contiguous();
  return Sha256().update(values.const_data_ptr(), values.nbytes()).finish();
}

torch::Tensor read_cache(const fs::path& file, int64_t rows) {
  if (file.empty() || !fs::exists(file)) return {};
  try {
    const auto content = read_safetensors(file);
    const auto says = [&](const char* key, const std::string& value) {
      const auto entry = content.metadata.find(key);
      return entry != content.metadata.end() && entry->second == value;
    };
    const auto& features = content.at("features");
    if (says("format", kFormat) && says("sha256", sha256_of_values(features)) &&
        features.dim() == 2 && features.size(0) == rows)
      return features;
    log::warn("{}: holds no features of {} images, or damaged ones; made again", file.string(),
              rows);
  } catch (const Error& error) {
    log::warn("{}; made again", error.what());
  }
  return {};
}

void write_cache(const fs::path& file, const torch::Tensor& features) {
  if (file.empty()) return;
  try {
    fs::create_directories(file.parent_path());
    write_safetensors(file, {{{"features", features}},
                             {{"format", kFormat}, {"sha256", sha256_of_values(features)}}});
  } catch (const std::exception& error) {
    log::warn("{} (features of the training images are not kept, and made again the next time)",
              error.what());
  }
}

}  // namespace

torch::Tensor gather_features(Communicator& world, const std::vector<torch::Tensor>& mine) {
  // A rank without rows knows neither their width nor their type.
  const double width = world.all_reduce(
      mine.empty() ? 0.0 : static_cast<double>(mine.front().size(1)), ReduceOp::max);
  const bool wide =
      world.all_reduce(!mine.empty() && mine.front().scalar_type() == torch::kDouble ? 1.0 : 0.0,
                       ReduceOp::max) > 0;
  auto parts = mine;
  parts.push_back(torch::empty({0, static_cast<int64_t>(width)}));
  return gather_rows(world, torch::cat(parts).to(wide ? torch::kDouble : torch::kFloat32));
}

std::vector<int64_t> real_rows(const ImageSet& images, const MetricsConfig& config,
                               const RunContext& context) {
  auto rows = images.indices(Split::train);
  validate(rows.size() >= 2, context.images_file().string(), ": has ", rows.size(),
           " training images (2 at least are needed to compare with); check the split fractions");
  const auto wanted = static_cast<size_t>(config.real_images);
  if (wanted == 0 || wanted >= rows.size()) return rows;
  const auto order =
      keyed_permutation({context.seed, "quality.real", 0}, static_cast<int64_t>(rows.size()));
  std::vector<int64_t> drawn;
  for (size_t i = 0; i < std::max<size_t>(wanted, 2); ++i)
    drawn.push_back(rows[static_cast<size_t>(order[static_cast<int64_t>(i)].item<int64_t>())]);
  std::ranges::sort(drawn);
  return drawn;
}

torch::Tensor real_features(const ImageSet& images, const std::vector<int64_t>& rows,
                            FeatureNetwork& network, const MetricsConfig& config,
                            RunContext& context) {
  auto& world = context.world;
  const auto file = cache_file(images, rows, network, config, context);
  const auto n = static_cast<int64_t>(rows.size());
  torch::Tensor found;
  on_root(world, [&] { found = read_cache(file, n); });
  const bool kept = world.all_reduce(found.defined() ? 1.0 : 0.0, ReduceOp::max) > 0;
  if (kept)
    return gather_features(world,
                           found.defined() ? std::vector{found} : std::vector<torch::Tensor>());

  const at::ArrayRef<int64_t> all(rows);
  std::vector<torch::Tensor> mine;
  for_each_batch(context, "quality: training images", n, config.batch, [&](IndexRange part) {
    mine.push_back(network.features(
        images.read(all.slice(static_cast<size_t>(part.begin), static_cast<size_t>(part.size())))));
  });
  const auto features = gather_features(world, mine);
  on_root(world, [&] { write_cache(file, features); });
  return features;
}

}  // namespace stylescope
