#pragma once

#include "io/base/fields.hpp"
#include "io/picture.hpp"
#include "stages/run_context.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

namespace stylescope {

struct ExplainConfig {
  std::string split = "test";
  int64_t images = 12;
  std::vector<int64_t> indices;
  double lambda_sd = 3;
  int64_t steps = 13;
  std::vector<double> targets = {0.1, 0.5, 0.9};
  int64_t batch = 32;
  int64_t occlusion = 8;

  void describe(Fields& f);
  // Throws UsageError for what no single field can say.
  void check() const;
};

// What would have to change in an image for f to say something else: w = E(x), G(w + lambda alpha),
// f along lambda, and the lambda at which f itself reaches given probabilities (Schutte et al.
// 2020, section 2; stages/explain/explainer.hpp); beside it where f looks (GradCAM, or for an f
// that is a black box, occlusion). For images of the chosen split, by index or chosen so that
// labels and scores are spread. Reads ingest/, classifier/, gan/, encoder/, direction/; writes
// explanations.h5 (io/explanation_set.hpp), a PNG strip an image, and strips.png.
nlohmann::json run_explain(const ExplainConfig& config, RunContext& context);

// An image that is no part of the run: `read` gives (C, H, W) uint8 of any size and throws Error
// where it cannot.
struct GivenImage {
  std::string name;    // shown with it
  std::string source;  // where it comes from: a file, a place on a slide
  std::function<torch::Tensor(int64_t channels)> read;
};
// A picture file, named by its file name.
GivenImage given_picture(const std::filesystem::path& file, const PictureSettings& settings = {});

// The same for given images: explanations.h5, PNG strips and index.html in the folder `out`. Images
// that cannot be read are named in a warning and left out; throws Error when none is left.
nlohmann::json explain_images(const ExplainConfig& config, RunContext& context,
                              const std::vector<GivenImage>& images,
                              const std::filesystem::path& out);

}  // namespace stylescope
