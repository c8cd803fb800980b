#include "stages/latent/trained_networks.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/load_black_box.hpp"

namespace stylescope {

TrainedNetworks load_trained_networks(const RunContext& context) {
  const auto path = [&](const char* artifact) { return (context.run_dir / artifact).string(); };
  TrainedNetworks networks;
  networks.f = load_black_box(context);
  networks.generator = load_generator(path(artifacts::generator), context.device, context.dtype);
  networks.encoder = load_encoder(path(artifacts::encoder), context.device, context.dtype);
  networks.direction = load_direction(path(artifacts::direction));

  const auto& g = networks.generator->options();
  const auto fits = [&](const char* artifact, int64_t resolution, int64_t channels) {
    validate(resolution == g.resolution && channels == g.image_channels, path(artifact),
             ": works on images of ", channels, "x", resolution, "x", resolution,
             ", but the generator makes ", g.image_channels, "x", g.resolution, "x", g.resolution,
             " (they come from different runs); run the stages again from ingest on");
  };
  fits(is_own_network(context.run_dir) ? artifacts::classifier : artifacts::black_box,
       networks.f->resolution(), networks.f->channels());
  fits(artifacts::encoder, networks.encoder.resolution,
       networks.encoder.network->options().input_channels);
  validate(networks.encoder.network->options().outputs == g.w_dim, path(artifacts::encoder),
           ": gives w of ", networks.encoder.network->options().outputs,
           " numbers, but the generator takes ", g.w_dim, "; run the encoder stage again");
  validate(networks.direction.alpha.numel() == g.w_dim, path(artifacts::direction), ": alpha has ",
           networks.direction.alpha.numel(), " numbers, but the generator's w has ", g.w_dim,
           "; run the direction stage again");
  return networks;
}

torch::Tensor pictures_of(Generator& generator, const torch::Tensor& w) {
  torch::NoGradGuard no_grad;
  return to_uint8(generator->synthesize(generator->broadcast(w))).cpu();
}

torch::Tensor pictures_along(TrainedNetworks& networks, const torch::Tensor& w,
                             const torch::Tensor& lambda, int64_t batch) {
  const auto moved = (w.to(torch::kCPU, torch::kFloat64).unsqueeze(0) +
                      lambda.unsqueeze(1) * networks.direction.alpha.unsqueeze(0))
                         .to(w.options());
  std::vector<torch::Tensor> pictures;
  for (const auto& part : moved.split(batch))
    pictures.push_back(pictures_of(networks.generator, part));
  return torch::cat(pictures);
}

}  // namespace stylescope
