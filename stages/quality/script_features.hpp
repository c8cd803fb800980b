#pragma once

#include "stages/quality/feature_network.hpp"

#include <memory>

// Feature networks in TorchScript files (torch.jit.save). The interface is the one of the networks
// that StyleGAN2-ADA's published metrics load: forward(images), images (N, 3, H, W) uint8 (grey is
// repeated), and, where forward has arguments of these names, return_features=True gives (N, d)
// features; return_lpips=True gives (N, e) numbers whose squared distances are LPIPS (Zhang et al.
// 2018).
namespace stylescope {

// config.feature_file on `device`. Throws Error when it is no TorchScript file, and where it is to
// be the published Inception and has no return_features or (at its first features) not 2048 of
// them.
std::unique_ptr<FeatureNetwork> make_script_features(const MetricsConfig& config,
                                                     torch::Device device);

}  // namespace stylescope
