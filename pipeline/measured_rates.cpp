#include "pipeline/measured_rates.hpp"

#include "io/base/error.hpp"

#include <algorithm>

namespace stylescope {

using detail::concatenate;

int64_t OurWork::images_of_rank(const StageWork& work) const {
  if (work.batch == 0) return config.synthesize.batch;
  const auto found = ranks.find(work.stage);
  const int64_t n = found == ranks.end() ? 1 : found->second;
  const int64_t groups = (work.pieces + n - 1) / n;
  return std::max<int64_t>(1, work.batch * groups / work.pieces);
}

double dealing_efficiency(int64_t pieces, int64_t ranks) {
  const int64_t most = (pieces + ranks - 1) / ranks;
  return static_cast<double>(pieces) / static_cast<double>(ranks * most);
}

std::string precision_remark(const std::string& precision, const Config& ours) {
  if (precision.empty() || precision == ours.precision) return "";
  return concatenate("measured in ", precision, ", and this configuration is in ", ours.precision,
                     ": not scaled");
}

void add_here(MeasuredRates& rates, const OurWork& ours, double seconds) {
  constexpr int64_t kEnoughCalls = 3;
  SelfCommunicator world;
  StopSignal stop(StopSignal::Hearing::deaf);
  const auto& config = ours.config;
  const Launch at = launch(world, stop, config.device, config.precision, config.threads);
  const int source = rates.sources++;
  const auto measure = [&](Pass pass, int64_t batch) {
    if (rates.passes.contains(pass)) return;
    const auto time = time_pass(ours.costs.networks(), pass, batch, at, seconds);
    PassRate rate;
    rate.seconds = time.seconds;
    rate.device = at.device.is_cuda() ? "cuda" : "cpu";
    rate.rough = time.fewest_calls < kEnoughCalls;
    rate.source = source;
    rate.how = concatenate("measured here and now, ", time.batch, " at a time, ", time.calls,
                           time.calls == 1 ? " call, " : " calls, ",
                           rate.rough ? "of some kind fewer than three, " : "", at.device.str(),
                           ", ", at.threads, at.threads == 1 ? " thread" : " threads");
    if (pass == Pass::gan_step && config.gan.conditional)
      rate.how += "; measured without classes (gan.conditional)";
    rates.passes[pass] = std::move(rate);
  };
  for (const auto& work : ours.stages) {
    if (rates.stages.contains(work.stage)) continue;
    const int64_t of_rank = ours.images_of_rank(work);
    for (const auto& [pass, images] : work.passes) measure(pass, of_rank);
    for (const auto& [pass, images] : work.beside)
      measure(pass, is_step(pass) ? of_rank : work.batch);
  }
}

}  // namespace stylescope
