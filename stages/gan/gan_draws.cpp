#include "stages/gan/gan_draws.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

#include <string>

namespace stylescope {
namespace {

std::string purpose(std::string_view what, Phase phase) {
  return "gan." + std::string(what) + "." + std::string(to_string(phase));
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::g_main:
      return "g_main";
    case Phase::g_path:
      return "g_path";
    case Phase::d_main:
      return "d_main";
    case Phase::d_r1:
      return "d_r1";
  }
  SS_CHECK(false);
  return "";
}

KeyedGanDraws::KeyedGanDraws(uint64_t seed, const GeneratorOptions& generator, double style_mixing,
                             bool random_noise, torch::TensorOptions options)
    : first_seed_(seed),
      seed_(seed),
      generator_(generator),
      style_mixing_(style_mixing),
      random_noise_(random_noise),
      options_(options) {}

void KeyedGanDraws::set_attempt(int64_t attempt) {
  seed_ = attempt == 0 ? first_seed_ : hash_key({first_seed_, "gan.attempt", attempt});
}

torch::Tensor KeyedGanDraws::latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) {
  return keyed_normal({seed_, purpose("z", phase), step}, samples, {generator_.z_dim}, options_);
}

torch::Tensor KeyedGanDraws::mixing_latents(int64_t step, Phase phase,
                                            at::ArrayRef<int64_t> samples) {
  return keyed_normal({seed_, purpose("mix", phase), step}, samples, {generator_.z_dim}, options_);
}

int64_t KeyedGanDraws::mixing_cutoff(int64_t step, Phase phase) {
  if (keyed_uniform({seed_, purpose("mix_decide", phase), step}) >= style_mixing_)
    return generator_.num_ws();
  return 1 + keyed_integer({seed_, purpose("mix_cutoff", phase), step}, generator_.num_ws() - 1);
}

torch::Tensor KeyedGanDraws::path_noise(int64_t step, at::ArrayRef<int64_t> samples) {
  return keyed_normal({seed_, "gan.path_noise", step}, samples,
                      {generator_.image_channels, generator_.resolution, generator_.resolution},
                      options_);
}

Noise KeyedGanDraws::layer_noise(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) {
  if (!random_noise_) return {};
  return {Noise::Mode::given, keyed_normal({seed_, purpose("noise", phase), step}, samples,
                                           {generator_.noise_size()}, options_)};
}

torch::Tensor KeyedGanDraws::label_rows(int64_t step, Phase phase, at::ArrayRef<int64_t> samples,
                                        int64_t rows) {
  auto drawn = torch::empty({static_cast<int64_t>(samples.size())}, torch::kInt64);
  for (size_t i = 0; i < samples.size(); ++i)
    drawn[static_cast<int64_t>(i)] =
        keyed_integer({seed_, purpose("label", phase), step}, rows, samples[i]);
  return drawn;
}

}  // namespace stylescope
