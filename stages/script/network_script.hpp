#pragma once

#include "stages/networks/classifier.hpp"
#include "stages/networks/encoder.hpp"
#include "stages/networks/generator.hpp"

#include <torch/script.h>

// G, E and f as TorchScript, for programs that know LibTorch or PyTorch and not stylescope. They
// are made of LibTorch's own operations alone; their answers are those of our networks up to
// rounding.
namespace stylescope {

// G: tensors under StyleGAN2-ADA's names, mapping.w_avg among them. Its functions:
//   forward(z, c=None, psi=1.0, noise=True)   z (N, z_dim), c (N, c_dim) one-hot where the network
//                                 is conditional -> images (N, C, H, W), nominally in [-1, 1]
//   map(z, c=None)                -> w (N, w_dim)
//   synthesize(w, psi=1.0, noise=True)   w (N, w_dim), or (N, num_ws, w_dim) -> images; psi moves w
//                                 towards w_avg; noise: the constant noise of the weights, or none
//   pixels(images)                -> uint8, rounded and clamped
// and z_dim, c_dim, w_dim, num_ws, resolution, channels.
torch::jit::Module script_generator(Generator& generator);

// E, under torchvision's names, with w_mean and w_scale:
//   forward(images)   (N, C, H, W): bytes, or the numbers in [-1, 1] that G gives -> w (N, w_dim)
// and resolution, channels.
torch::jit::Module script_encoder(Encoder& encoder);

// f, under torchvision's names, with the normalisation inside:
//   forward(images)   (N, C, H, W): bytes, or numbers x/255 in [0, 1] -> class probabilities (N, K)
//   logits(images)    -> (N, K)          score(images)   -> (N), the positive classes' together
// and resolution, channels, class_names, positive.
torch::jit::Module script_classifier(Classifier& classifier);

}  // namespace stylescope
