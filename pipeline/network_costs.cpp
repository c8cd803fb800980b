#include "pipeline/network_costs.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "pipeline/bench_steps.hpp"
#include "pipeline/bench_timing.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include <nlohmann/json.hpp>

namespace stylescope {
namespace {

NetworkSize size_of(const torch::nn::Module& module) {
  NetworkSize size;
  for (const auto& parameter : module.parameters()) size.parameters += parameter.numel();
  for (const auto& buffer : module.buffers()) size.buffers += buffer.numel();
  return size;
}

bool is_encoder(Pass pass) { return pass == Pass::encoder || pass == Pass::encoder_step; }

const BenchNetworks::Supervised& resnet_of(const BenchNetworks& networks, Pass pass) {
  return networks.resnets.at(is_encoder(pass) ? 1 : 0);
}

torch::Tensor random_rows(int64_t rows, std::vector<int64_t> extents, const Launch& at) {
  std::vector<int64_t> samples(static_cast<size_t>(rows));
  std::iota(samples.begin(), samples.end(), int64_t{0});
  return keyed_normal({0, "estimate.rows", 0}, samples, extents,
                      torch::dtype(at.dtype).device(at.device));
}

std::unique_ptr<TrainingSteps> make_steps(const BenchNetworks& networks, Pass pass, int64_t batch,
                                          const Launch& at) {
  if (pass == Pass::gan_step) return std::make_unique<GanSteps>(networks, batch, at.world, at);
  BenchNetworks one = networks;
  one.resnets = {resnet_of(networks, pass)};
  return std::make_unique<ResNetSteps>(one, batch, at.world, at);
}

// Forward alone, without gradients.
std::function<void()> make_forward(const BenchNetworks& networks, Pass pass, int64_t batch,
                                   const Launch& at) {
  const auto& g = networks.generator;
  if (pass == Pass::generator) {
    Generator generator(g);
    initialize(generator, 0);
    generator->to(at.device, at.dtype);
    generator->eval();
    return [generator, z = random_rows(batch, {g.z_dim}, at)]() mutable {
      const torch::NoGradGuard no_grad;
      generator->synthesize(generator->broadcast(generator->map(z)));
    };
  }
  ResNet network(resnet_of(networks, pass).network);
  initialize(network, 0, false);
  network->to(at.device, at.dtype);
  network->eval();
  return [network,
          x = random_rows(batch, {g.image_channels, g.resolution, g.resolution}, at)]() mutable {
    const torch::NoGradGuard no_grad;
    network->forward(x);
  };
}

// One call untimed, then calls for `seconds`, at least one; their median.
double timed(const std::function<void()>& call, torch::Device device, double seconds,
             PassTime& time) {
  call();
  std::vector<double> taken;
  const double begin = device_clock(device);
  double now = begin;
  do {
    call();
    const double next = device_clock(device);
    taken.push_back(next - now);
    now = next;
  } while (now - begin < seconds);
  const auto calls = static_cast<int64_t>(taken.size());
  time.fewest_calls = time.calls == 0 ? calls : std::min(time.fewest_calls, calls);
  time.calls += calls;
  return median(taken);
}

}  // namespace

const char* name_of(Pass pass) {
  constexpr std::array<const char*, 6> names{"training step of the gan",
                                             "training step of the classifier",
                                             "training step of the encoder",
                                             "forward pass of G",
                                             "forward pass of f",
                                             "forward pass of E"};
  return names.at(static_cast<size_t>(pass));
}

bool is_step(Pass pass) {
  return pass == Pass::gan_step || pass == Pass::classifier_step || pass == Pass::encoder_step;
}

NetworkSizes network_sizes(const BenchNetworks& networks) {
  return {size_of(*Generator(networks.generator)), size_of(*Discriminator(networks.discriminator)),
          size_of(*ResNet(networks.resnets.at(0).network)),
          size_of(*ResNet(networks.resnets.at(1).network))};
}

double PassCosts::operations(Pass pass) {
  if (const auto found = known_.find(pass); found != known_.end()) return found->second;
  log::info("counting the arithmetic of an image: {}", name_of(pass));
  SelfCommunicator world;
  StopSignal stop(StopSignal::Hearing::deaf);
  const Launch at{world, stop, torch::kCPU, torch::kFloat32, 1};
  double operations = 0;
  if (is_step(pass)) {
    // One image: groups do not change the arithmetic, and that the path length then sees a whole
    // image where it should see a part is made up for by its interval.
    BenchNetworks small = networks_;
    small.gan.mbstd_group = small.discriminator.mbstd_group = 1;
    small.gan.path_length_interval *= std::max<int64_t>(small.gan.path_length_shrink, 1);
    const int64_t batch = pass == Pass::gan_step ? 1 : 2;
    const auto steps = make_steps(small, pass, batch, at);
    const auto shares = steps->shares();
    for (size_t kind = 0; kind < shares.size(); ++kind) {
      const FlopCounter counter;
      steps->step(kind);
      operations += shares[kind] * counter.count() / static_cast<double>(batch);
    }
  } else {
    const auto forward = make_forward(networks_, pass, 1, at);
    const FlopCounter counter;
    forward();
    operations = counter.count();
  }
  return known_[pass] = operations;
}

std::string PassCosts::shape(Pass pass) const {
  const auto& g = networks_.generator;
  const auto& gan = networks_.gan;
  auto shape = nlohmann::json::array({g.resolution, g.image_channels});
  const auto add = [&shape](const auto&... values) { (shape.push_back(values), ...); };
  if (pass == Pass::gan_step || pass == Pass::generator) {
    add(g.z_dim, g.w_dim, g.channel_base, g.channel_max, g.mapping_layers);
  } else {
    const auto& resnet = resnet_of(networks_, pass).network;
    add(resnet.depth, resnet.stem, resnet.width, resnet.outputs);
  }
  if (pass == Pass::gan_step)
    add(gan.r1_gamma != 0 ? gan.r1_interval : 0,
        gan.path_length_weight > 0 ? gan.path_length_interval : 0, gan.path_length_shrink,
        gan.augment.mode == "off" ? "" : gan.augment.pipe, gan.d_architecture, gan.half_precision,
        gan.batch_per_rank);
  return shape.dump();
}

PassTime time_pass(const BenchNetworks& networks, Pass pass, int64_t batch, const Launch& at,
                   double seconds) {
  log::info("measuring: {}", name_of(pass));
  PassTime time;
  time.batch = std::max<int64_t>(batch, 1);
  if (is_step(pass)) {
    const int64_t group =
        pass == Pass::gan_step ? networks.gan.mbstd_group : resnet_of(networks, pass).group;
    time.batch = (time.batch + group - 1) / group * group;
    const auto steps = make_steps(networks, pass, time.batch, at);
    const auto shares = steps->shares();
    for (size_t kind = 0; kind < shares.size(); ++kind)
      time.seconds += shares[kind] * timed([&] { steps->step(kind); }, at.device,
                                           seconds / static_cast<double>(shares.size()), time);
    validate(steps->wrong() == 0, name_of(pass),
             ": its results are no finite numbers on this machine; do not trust it, run the tests");
  } else {
    time.seconds = timed(make_forward(networks, pass, time.batch, at), at.device, seconds, time);
  }
  time.seconds /= static_cast<double>(time.batch);
  return time;
}

}  // namespace stylescope
