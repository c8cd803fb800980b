#pragma once

#include "pipeline/bench_networks.hpp"
#include "pipeline/bench_report.hpp"
#include "pipeline/comm_model.hpp"
#include "pipeline/launch.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// The benchmarks of `stylescope bench`. Each is collective, checks every result it reports a time
// for (column "wrong"), and measures the machine's own limits in the same run. `seconds` is the
// time spent on each measurement. Throws Error only where the machine fails; wrong results are
// reported.
namespace stylescope {

struct OpsBench {
  int64_t batch = 8, channels = 64, resolution = 64;  // of each rank
};
// Through which operations the GAN's networks run (networks/numerics.hpp): ours, LibTorch's own, or
// both in turn, to compare.
enum class Compared { fast, reference, both };
// The operations that are run, those that a report is about first.
std::vector<Operations> operations_of(Compared compared);

struct TrainBench {
  int64_t batch = 32;  // of all ranks together
  int64_t resolution = 64, channel_base = 16384, channel_max = 512, image_channels = 3;
  int64_t depth = 50, width = 64;  // of the ResNet
  int64_t mapping_layers = 2;
  Compared compared = Compared::both;
  std::optional<torch::Dtype> half{};  // of the features; with a clamp of 256
  bool profile = false;                // of an iteration, too
};
struct GenerateBench {
  int64_t batch = 16;  // of each rank
  int64_t resolution = 64, channel_base = 16384, channel_max = 512, image_channels = 3;
  int64_t mapping_layers = 2;
  Compared compared = Compared::both;
  std::optional<torch::Dtype> half{};
};
struct LoaderBench {
  int64_t images = 1024, batch = 32;  // of each rank
  int64_t resolution = 64, image_channels = 3;
  std::filesystem::path dir;  // where the files are made; empty: the system's temporary folder
  double gigabytes = 0;       // of pixels (10^9 bytes); not 0: instead of `images`
};
struct TileBench {
  std::filesystem::path slide;  // empty: one is drawn
  int64_t size = 8192;          // rows and columns of the drawn one
  int64_t tile_px = 256;
  std::filesystem::path dir;  // as above
};
struct CommBench {
  int64_t min_bytes = 1024, max_bytes = 64 << 20, factor = 4;
  std::vector<std::string> collectives{};   // names; empty: all
  std::string type{};                       // float32, float64, bfloat16; "": as --precision says
  std::optional<BenchNetworks> networks{};  // whose gradients are sent, too
};
struct ScaleBench {
  BenchNetworks networks;             // batches: of a rank (weak), of all ranks (strong)
  std::filesystem::path out;          // where scale.html and scale.json go; empty: nowhere
  std::vector<int64_t> ranks;         // to measure on, 1 among them always; empty: 1, 2, 3, 4, 8...
  AskedNetwork asked;                 // of the prediction; one rank on a node where it says none
  int64_t comm_max_bytes = 64 << 20;  // of the all_reduces that the model is fitted to
};

// upfirdn2d, bias_act and modulated_conv2d, forward and backward, beside the same functions in
// plain LibTorch operations, a memory copy and a matrix product.
BenchReport bench_ops(const OpsBench& bench, const Launch& at, double seconds);
// The GAN's training step, by phase, and a ResNet's; random images, no files. Beside it the same
// step through plain LibTorch operations.
BenchReport bench_train(const TrainBench& bench, const Launch& at, double seconds);
// Images from an untrained generator: latency of one, rate of a batch.
BenchReport bench_generate(const GenerateBench& bench, const Launch& at, double seconds);
// Shuffled reads from an images.h5 of every storage, and of one over shards, each in turn with
// pread from a plain file of the same images, and a gather in memory. The images are those of
// bench_tissue.hpp: what compresses, compresses as stained tissue does. Needs twice the size of the
// pixels on disk.
BenchReport bench_loader(const LoaderBench& bench, const Launch& at, double seconds);
// A slide's way to its shard, by reader, storage and scale, beside a bare loop over
// openslide_read_region; each rank on a slide of its own.
BenchReport bench_tile(const TileBench& bench, const Launch& at, double seconds);
// Every collective on every backend, in and out of place, with the columns of NVIDIA's nccl-tests
// (doc/PERFORMANCE.md) and beside a plain MPI loop; then the messages of the networks' gradients.
BenchReport bench_comm(const CommBench& bench, const Launch& at, double seconds);
// The training steps of the GAN and of a ResNet on 1, 2, 3, 4, 8, ... and all ranks, weak and
// strong, beside independent ranks; what of a step is communication, who is late; and a model of
// the network fitted to all_reduces of the same run, carried on to 1024 nodes.
BenchReport bench_scale(const ScaleBench& bench, const Launch& at, double seconds);

}  // namespace stylescope
