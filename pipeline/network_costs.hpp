#pragma once

#include "pipeline/bench_networks.hpp"
#include "pipeline/launch.hpp"

#include <cstdint>
#include <map>
#include <string>

// What the networks of a configuration cost: their sizes, and the arithmetic and the time of one
// image.
namespace stylescope {

// An image's way through a network: a training step with all its phases, or forward alone.
enum class Pass { gan_step, classifier_step, encoder_step, generator, classifier, encoder };
const char* name_of(Pass pass);  // "training step of the gan", "forward pass of G"
bool is_step(Pass pass);

struct NetworkSize {
  int64_t parameters = 0, buffers = 0;  // numbers
};
struct NetworkSizes {
  NetworkSize generator, discriminator, classifier, encoder;
};
NetworkSizes network_sizes(const BenchNetworks& networks);

// `networks` as networks_of(config) gives them: the classifier, then the encoder.
class PassCosts {
 public:
  explicit PassCosts(BenchNetworks networks) : networks_(std::move(networks)) {}
  const BenchNetworks& networks() const { return networks_; }

  // Floating-point operations of one image, counted once by running it on this machine's CPU
  // (lazy phases in their share). Seconds to minutes for large networks; the log says
  // so.
  double operations(Pass pass);
  // Equal texts: the same operations.
  std::string shape(Pass pass) const;

 private:
  BenchNetworks networks_;
  std::map<Pass, double> known_;
};

// Seconds of one image on this machine, measured for about `seconds` with random images and
// `batch` of them at a time (a step: a multiple of its groups; made one where it is not). `at` is a
// world of one. Throws Error where the machine fails.
struct PassTime {
  double seconds = 0;
  int64_t batch = 0, calls = 0;
  int64_t fewest_calls = 0;  // of a kind of step, where they differ
};
PassTime time_pass(const BenchNetworks& networks, Pass pass, int64_t batch, const Launch& at,
                   double seconds);

}  // namespace stylescope
