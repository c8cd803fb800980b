#pragma once

#include "io/image_set.hpp"
#include "stages/quality/feature_network.hpp"
#include "stages/quality/metrics_config.hpp"
#include "stages/run_context.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// The training images that generated ones are compared with: rows in images.h5, ascending.
// config.real_images of them, drawn by the seed; all where it is 0 or more than there are. Throws
// Error for fewer than 2.
std::vector<int64_t> real_rows(const ImageSet& images, const MetricsConfig& config,
                               const RunContext& context);

// Their features (rows, d), on the CPU of every rank. Kept in a file of run_dir/quality/cache that
// is named after all that they depend on (content of images.h5, rows, network, batch, precision,
// device, threads), and read from there the next time; a run directory that cannot be written, and
// a damaged file, cost the time alone. Collective.
torch::Tensor real_features(const ImageSet& images, const std::vector<int64_t>& rows,
                            FeatureNetwork& network, const MetricsConfig& config,
                            RunContext& context);

// The rows (n, d) that each rank has made, put together in the order of the ranks, on the CPU of
// every rank; a rank may have none. Collective.
torch::Tensor gather_features(Communicator& world, const std::vector<torch::Tensor>& mine);

}  // namespace stylescope
