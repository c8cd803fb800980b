#include "pipeline/bench_tissue.hpp"

#include "distributed/random.hpp"
#include "io/jpeg_codec.hpp"

namespace stylescope {
namespace {

constexpr int kQuality = 60;

// Noise (size, size) of deviation 1 with blobs of about `grain` pixels.
torch::Tensor blobs(int64_t size, int64_t grain, torch::Generator& random) {
  const int64_t cells = std::max<int64_t>(1, size / grain) + 1;
  const auto coarse = torch::randn({1, 1, cells, cells}, random);
  namespace F = torch::nn::functional;
  return F::interpolate(coarse, F::InterpolateFuncOptions()
                                    .size(std::vector<int64_t>{size, size})
                                    .mode(torch::kBicubic)
                                    .align_corners(false))
      .view({size, size});
}

// (size, size, 3) uint8
torch::Tensor tissue(int64_t size, torch::Generator& random) {
  const auto hole = torch::sigmoid(25 * (blobs(size, 60, random) - 0.6));
  const auto nuclei = torch::sigmoid(5 * (blobs(size, 9, random) - 0.9));
  const auto texture = 0.08 * blobs(size, 2, random) + 0.08 * blobs(size, 4, random);
  const auto eosin = (0.35 + 0.1 * blobs(size, 24, random) + texture) * (1 - hole);
  const auto haematoxylin = (0.12 + 0.6 * nuclei + texture) * (1 - hole);
  const auto density = haematoxylin.unsqueeze(2) * torch::tensor({0.650F, 0.704F, 0.286F}) +
                       eosin.unsqueeze(2) * torch::tensor({0.072F, 0.990F, 0.105F});
  const auto noise = 2 * torch::randn({size, size, 3}, random) * (1 - hole).unsqueeze(2);
  const auto light = 240 * torch::exp(-1.4 * density) + noise;
  return light.clamp(0, 255).round().to(torch::kUInt8).contiguous();
}

}  // namespace

TissuePictures tissue_pictures(int64_t count, int64_t channels, int64_t size, uint64_t seed) {
  TissuePictures pictures;
  pictures.pixels = torch::empty({count, channels, size, size}, torch::kUInt8);
  JpegDecoder decoder;
  for (int64_t i = 0; i < count; ++i) {
    auto random = keyed_generator({seed, "bench.tissue", 0}, i);
    auto rgb = tissue(size, random);
    auto* data = rgb.data_ptr<uint8_t>();
    const std::string jpeg = encode_jpeg(data, size, size, 3 * size, 3, kQuality, true);
    decoder.decode(jpeg, {}, JpegColor::as_marked, 1, size, size, data, 3 * size);
    const auto planes = rgb.permute({2, 0, 1});
    for (int64_t c = 0; c < channels; ++c) pictures.pixels[i][c].copy_(planes[c % 3]);
    if (channels == 3) pictures.jpegs.push_back(jpeg);
  }
  return pictures;
}

}  // namespace stylescope
