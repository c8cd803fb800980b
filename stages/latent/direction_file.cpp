#include "stages/latent/direction_file.hpp"

#include "io/base/error.hpp"
#include "io/safetensors.hpp"
#include "stages/networks/resnet_io.hpp"

namespace stylescope {
namespace {

constexpr const char* kFormat = "stylescope.direction.1";

torch::Tensor one(double value) { return torch::full({1}, value, torch::kFloat64); }

}  // namespace

double Direction::lambda_of_sd(double standard_deviations) const {
  return standard_deviations * projection_sd / alpha.norm().item<double>();
}

torch::Tensor Direction::surrogate_logits(const torch::Tensor& w) const {
  return w.to(torch::kCPU, torch::kFloat64).matmul(alpha) + beta;
}

void save_direction(const std::filesystem::path& file, const Direction& direction) {
  TensorFile content;
  content.tensors = {{"alpha", direction.alpha},
                     {"beta", one(direction.beta)},
                     {"unit_direction", direction.unit},
                     {"projection_mean", one(direction.projection_mean)},
                     {"projection_sd", one(direction.projection_sd)},
                     {"scores", direction.scores},
                     {"logits", direction.logits},
                     {"held_out", direction.held_out}};
  content.metadata["format"] = kFormat;
  content.metadata["threshold"] = encode(std::vector<double>{direction.threshold});
  content.metadata["c"] = encode(std::vector<double>{direction.c});
  content.metadata["about"] =
      "f~(w) = sigmoid(<alpha, w> + beta); scores: f(G(w_i)); logits: <alpha, w_i> + beta; "
      "held_out: 1 where sample i was "
      "kept from the fit; projection_*: of <unit_direction, w> over the w of the fit";
  write_safetensors(file, content);
}

Direction load_direction(const std::filesystem::path& file) {
  const auto content = read_safetensors(file);
  const auto name = file.string();
  const auto format = content.metadata.find("format");
  validate(format != content.metadata.end() && format->second == kFormat, name,
           ": is no direction (its metadata does not say ", kFormat,
           "); give what the direction stage wrote");
  const auto vector = [&](const char* key) {
    const auto& tensor = content.at(key);
    validate(tensor.dim() == 1, name, ": ", key, " has ", tensor.dim(),
             " axes instead of one; run direction again");
    return tensor;
  };
  const auto number = [&](const char* key) {
    validate(vector(key).numel() == 1, name, ": ", key,
             " is no single number; run direction again");
    return content.at(key).item<double>();
  };
  Direction direction;
  direction.alpha = vector("alpha").to(torch::kFloat64);
  direction.beta = number("beta");
  direction.unit = vector("unit_direction").to(torch::kFloat64);
  direction.projection_mean = number("projection_mean");
  direction.projection_sd = number("projection_sd");
  direction.scores = vector("scores").to(torch::kFloat64);
  direction.logits = vector("logits").to(torch::kFloat64);
  direction.held_out = vector("held_out");
  direction.threshold = metadata_reals(content, name, "threshold").at(0);
  direction.c = metadata_reals(content, name, "c").at(0);
  const int64_t n = direction.scores.numel();
  validate(direction.unit.numel() == direction.alpha.numel() && direction.logits.numel() == n &&
               direction.held_out.numel() == n,
           name, ": its arrays do not fit each other; run direction again");
  validate(direction.alpha.norm().item<double>() > 0 && direction.projection_sd > 0, name,
           ": alpha is zero, so it points nowhere; run direction again on other samples or another "
           "threshold");
  return direction;
}

}  // namespace stylescope
