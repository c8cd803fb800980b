#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <torch/torch.h>

// explanations.h5: what explain found for each image, for the report, for evaluate and for users'
// own tools. Axes: N images, L steps of the lambda grid, P target probabilities.
//   /original (N,C,H,W) /reconstruction (N,C,H,W) /strip (N,L,C,H,W) /targets (N,P,C,H,W) uint8
//   /gradcam (N,H,W) in [0,1], or, of an f that cannot be looked into, /occlusion (N,H,W): how much
//   f(x) changes where a patch is covered, 0..1 /difference (N,H,W): |last strip image - first|
//   averaged over channels, 0..255   float32 /w (N,w_dim) /lambda (L) /f_original (N) /f_strip
//   (N,L) /surrogate_strip (N,L) /target_lambda (N,P; NaN: out of reach) /f_targets (N,P)
//   /target_probability (P)                                              float64 /index (N) int64,
//   row of images.h5 (-1: an image given on the command line) /label (N) int64 (-1: unknown) /name
//   (N) /subject (N) strings
namespace stylescope {

struct ExplanationSet {
  torch::Tensor original, reconstruction, strip, targets;
  torch::Tensor heat_map, difference;
  torch::Tensor w, lambda, f_original, f_strip, surrogate_strip;
  torch::Tensor target_probability, target_lambda, f_targets;
  torch::Tensor index, label;
  std::vector<std::string> name, subject;
  std::string heat_map_kind = "gradcam";  // or "occlusion": its name in the file
  int64_t size() const { return original.size(0); }
};

void write_explanations(const std::filesystem::path& file, const ExplanationSet& set);
ExplanationSet read_explanations(const std::filesystem::path& file);

}  // namespace stylescope
