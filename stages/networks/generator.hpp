#pragma once

#include "stages/networks/numerics.hpp"

#include <map>
#include <memory>
#include <string>

#include <torch/torch.h>

// StyleGAN2's generator (Karras et al. 2020, "Analyzing and Improving the Image Quality of
// StyleGAN", section 2 and appendix B): mapping network Z -> W and skip-architecture synthesis
// network W -> image. Parameters and buffers carry StyleGAN2-ADA's names and order, so that weights
// come and go under them.
namespace stylescope {

struct GeneratorOptions {
  int64_t z_dim = 512;
  int64_t c_dim = 0;  // classes; 0: unconditional
  int64_t w_dim = 512;
  int64_t resolution = 64;  // power of two, 8..1024 (runs: 16..1024)
  int64_t image_channels = 3;
  int64_t channel_base = 16384;  // channels at resolution r: min(channel_base / r, channel_max)
  int64_t channel_max = 512;
  int64_t mapping_layers = 8;
  double clamp = 0;  // conv_clamp; 0: none
  Numerics numerics = {};

  int64_t num_ws() const;  // 2 log2(resolution) - 2
  // Numbers of noise that one sample takes: the sum of r*r over the layers that add noise.
  int64_t noise_size() const;
};

// Where the per-pixel noise comes from. `given`: (N, noise_size) standard normal numbers, all
// layers flattened in order.
struct Noise {
  enum class Mode { constant, none, given };
  Mode mode = Mode::constant;
  torch::Tensor given;
};

class MappingNetworkImpl;
class SynthesisNetworkImpl;

class GeneratorImpl : public torch::nn::Module {
 public:
  // Throws Error when the options describe no network. Weights are zero until initialize() or
  // load_generator().
  explicit GeneratorImpl(const GeneratorOptions& options);

  // z (N, z_dim), c (N, c_dim) one-hot when conditional -> w (N, w_dim). Does not touch w_avg.
  torch::Tensor map(const torch::Tensor& z, const torch::Tensor& c = {});
  // One w for every layer: (N, w_dim) -> (N, num_ws, w_dim), an expanded view.
  torch::Tensor broadcast(const torch::Tensor& w) const;
  // w_avg + psi (ws - w_avg) for the first `cutoff` of the num_ws (negative: all).
  torch::Tensor truncate(const torch::Tensor& ws, double psi, int64_t cutoff = -1) const;
  // ws (N, num_ws, w_dim) -> images (N, image_channels, resolution, resolution), nominally in [-1,
  // 1], not clamped.
  torch::Tensor synthesize(const torch::Tensor& ws, const Noise& noise = {});
  // The moving average of w, (w_dim): a buffer that the trainer updates.
  torch::Tensor& w_avg();

  const GeneratorOptions& options() const { return options_; }

 private:
  GeneratorOptions options_;
  std::shared_ptr<SynthesisNetworkImpl> synthesis_;
  std::shared_ptr<MappingNetworkImpl> mapping_;
};
TORCH_MODULE(Generator);

// As StyleGAN2 starts: weights, constant and noise N(0,1) (mapping weights N(0,1)*100), biases 0
// (of style layers 1), noise strengths and w_avg 0. Keyed by seed and tensor name: the same numbers
// on every rank and in every dtype.
void initialize(Generator& generator, uint64_t seed);

// Reads a generator, and finds every option from names and shapes (StyleGAN2-ADA's names). Extra or
// missing tensors and wrong shapes throw Error with the name; only the resample_filter buffers,
// which are constants, may be missing. The clamp is in no shape: it is read from the metadata
// (conv_clamp), none where there is no such entry. On `device`, in `dtype`, in evaluation mode.
Generator load_generator(const std::string& file, torch::Device device, torch::Dtype dtype);
// `metadata`: further entries, which load_generator passes over.
void save_generator(const std::string& file, Generator& generator,
                    std::map<std::string, std::string> metadata = {});

}  // namespace stylescope
