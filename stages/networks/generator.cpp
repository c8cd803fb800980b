#include "stages/networks/generator.hpp"

#include "io/base/error.hpp"
#include "stages/networks/mapping.hpp"
#include "stages/networks/state.hpp"
#include "stages/networks/synthesis.hpp"

#include <cmath>

namespace stylescope {

int64_t GeneratorOptions::num_ws() const { return 2 * std::lround(std::log2(resolution)) - 2; }

int64_t GeneratorOptions::noise_size() const {
  int64_t size = 16;  // one layer at 4x4, two at every later resolution
  for (int64_t r = 8; r <= resolution; r *= 2) size += 2 * r * r;
  return size;
}

GeneratorImpl::GeneratorImpl(const GeneratorOptions& options) : options_(options) {
  validate_resolution(options.resolution);
  validate(channels_at(options.resolution, options.channel_base, options.channel_max) > 0,
           "channel_base ", options.channel_base, ": leaves no channel at resolution ",
           options.resolution, "; raise it");
  validate(options.mapping_layers > 0 && options.z_dim > 0,
           "a generator needs z_dim and mapping_layers of at least 1");
  synthesis_ = register_module("synthesis", std::make_shared<SynthesisNetworkImpl>(options));
  mapping_ = register_module("mapping", std::make_shared<MappingNetworkImpl>(
                                            options.z_dim, options.c_dim, options.w_dim,
                                            options.mapping_layers, options.numerics.operations));
}

torch::Tensor GeneratorImpl::map(const torch::Tensor& z, const torch::Tensor& c) {
  return mapping_->forward(z, c);
}

torch::Tensor GeneratorImpl::broadcast(const torch::Tensor& w) const {
  return w.unsqueeze(1).expand({w.size(0), options_.num_ws(), w.size(1)});
}

torch::Tensor GeneratorImpl::truncate(const torch::Tensor& ws, double psi, int64_t cutoff) const {
  const auto& center = mapping_->w_avg;
  if (psi == 1 || cutoff == 0) return ws;
  if (cutoff < 0 || cutoff >= ws.size(1)) return center.lerp(ws, psi);
  return torch::cat(
      {center.lerp(ws.narrow(1, 0, cutoff), psi), ws.narrow(1, cutoff, ws.size(1) - cutoff)}, 1);
}

torch::Tensor GeneratorImpl::synthesize(const torch::Tensor& ws, const Noise& noise) {
  SS_CHECK(ws.dim() == 3 && ws.size(1) == options_.num_ws() && ws.size(2) == options_.w_dim,
           "ws has the shape ", ws.sizes(), ", not (N, ", options_.num_ws(), ", ", options_.w_dim,
           ")");
  if (noise.mode == Noise::Mode::given)
    SS_CHECK(noise.given.dim() == 2 && noise.given.size(0) == ws.size(0) &&
                 noise.given.size(1) == options_.noise_size(),
             "noise has the shape ", noise.given.sizes(), ", not (N, ", options_.noise_size(), ")");
  return synthesis_->forward(ws, noise);
}

torch::Tensor& GeneratorImpl::w_avg() { return mapping_->w_avg; }

void initialize(Generator& generator, uint64_t seed) {
  initialize_weights(*generator, seed, "networks.G.");
}

}  // namespace stylescope
