#include "distributed/random.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "stages/augment/affine_sample.hpp"
#include "stages/augment/plan.hpp"
#include "stages/networks/layers.hpp"
#include "stages/ops/bias_act.hpp"
#include "stages/ops/modulated_conv2d.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <cmath>
#include <numeric>

namespace stylescope {
namespace {

using Tensors = std::vector<torch::Tensor>;
using Operator = std::function<torch::Tensor(const Tensors&)>;

struct Case {
  std::string name;
  Operator ours, plain;
  Tensors inputs;  // the first is the image
  // Values that must be read or written at the least; 0: arithmetic is the limit.
  double forward_values = 0, backward_values = 0;
};

torch::Tensor random(const char* purpose, at::IntArrayRef shape, const Launch& at) {
  std::vector<int64_t> rows(static_cast<size_t>(shape[0]));
  std::iota(rows.begin(), rows.end(), 0);
  return keyed_normal({0, purpose, 0}, rows, shape.slice(1),
                      torch::dtype(at.dtype).device(at.device));
}

// The formula of bias_act, an operation at a time.
torch::Tensor plain_bias_act(const Tensors& in) {
  return torch::leaky_relu(in[0] + in[1].reshape({1, -1, 1, 1}), 0.2) * std::sqrt(2.0);
}

// StyleGAN2's own formulation (Karras et al. 2020, section 2.2): a weight for each sample, one
// grouped convolution, and for `up` 2 an image with zeros inserted.
torch::Tensor plain_modulated(const Tensors& in, int64_t up, const torch::Tensor& filter) {
  const auto &x = in[0], &weight = in[1], &styles = in[2];
  const int64_t n = x.size(0), channels = x.size(1);
  auto weights = weight.unsqueeze(0) * styles.reshape({n, 1, channels, 1, 1});
  weights = weights * (weights.square().sum({2, 3, 4}, true) + 1e-8).rsqrt();
  // The convolution reaches past the border of the enlarged image, where the filter still sees it:
  // the padding comes first, and once.
  const int64_t pad = weight.size(2) / 2;
  const auto image =
      up == 1 ? x
              : upfirdn2d_plain(x, filter, 2, 1, {2 + pad, 1 + pad, 2 + pad, 1 + pad}, false, 4);
  if (up > 1) weights = weights.flip({3, 4});
  const auto y = torch::conv2d(image.reshape({1, n * channels, image.size(2), image.size(3)}),
                               weights.flatten(0, 1), {}, 1, up == 1 ? pad : 0, 1, n);
  return y.reshape({n, weight.size(0), y.size(2), y.size(3)});
}

// Where the augmentation of a training reads its images: every geometric change at random.
std::vector<AffineMap> random_maps(const OpsBench& b) {
  KeyedAugmentSource source(0);
  const auto plan = make_plan(operations_of("bg"), source.draws(0, "bench.ops", b.batch), 1,
                              {3, b.resolution, b.resolution});
  std::vector<AffineMap> maps;
  for (const auto& image : plan.images) maps.push_back(image.inverse);
  return maps;
}

std::vector<Case> cases(const OpsBench& b, const Launch& at) {
  const auto x =
      fastest_layout(random("bench.ops.x", {b.batch, b.channels, b.resolution, b.resolution}, at));
  const auto bias = random("bench.ops.bias", {b.channels}, at);
  const auto weight = random("bench.ops.weight", {b.channels, b.channels, 3, 3}, at);
  const auto styles = random("bench.ops.styles", {b.batch, b.channels}, at);
  const auto filter = default_filter().to(at.device);
  const auto size = static_cast<double>(x.numel());
  const auto up = [filter](auto apply) {
    return [=](const Tensors& in) { return apply(in[0], filter, 2, 1, {2, 1, 2, 1}, false, 4); };
  };
  const auto down = [filter](auto apply) {
    return [=](const Tensors& in) { return apply(in[0], filter, 1, 2, {1, 1, 1, 1}, false, 1); };
  };
  const auto modulated = [filter](int64_t factor) {
    return [=](const Tensors& in) {
      return modulated_conv2d(in[0], in[1], in[2], {}, factor, filter, true);
    };
  };
  const auto plain = [filter](int64_t factor) {
    return [=](const Tensors& in) { return plain_modulated(in, factor, filter); };
  };
  const auto pictures = random("bench.ops.images", {b.batch, 3, b.resolution, b.resolution}, at);
  const auto pixels = static_cast<double>(pictures.numel());
  const auto resampled = [maps = random_maps(b), size = b.resolution](auto apply) {
    return [=](const Tensors& in) { return apply(in[0], maps, size, size); };
  };
  using Apply = torch::Tensor (*)(const torch::Tensor&, const torch::Tensor&, Factor, Factor,
                                  Padding, bool, double);
  const Apply fast = upfirdn2d, slow = upfirdn2d_plain;
  return {
      {"upfirdn2d up 2", up(fast), up(slow), {x}, 5 * size, 5 * size},
      {"upfirdn2d down 2", down(fast), down(slow), {x}, 1.25 * size, 1.25 * size},
      {"bias_act lrelu",
       [](const Tensors& in) { return bias_act(in[0], in[1], Activation::lrelu); },
       plain_bias_act,
       {x, bias},
       2 * size,
       3 * size},
      {"affine_sample (augmentation)",
       resampled(affine_sample),
       resampled(affine_sample_plain),
       {pictures},
       2 * pixels,
       2 * pixels},
      {"modulated_conv2d 3x3", modulated(1), plain(1), {x, weight, styles}},
      {"modulated_conv2d 3x3 up 2", modulated(2), plain(2), {x, weight, styles}},
  };
}

// Result and, with a gradient for it, the gradients of all inputs.
Tensors apply(const Operator& op, const Tensors& inputs, const torch::Tensor& gradient) {
  if (!gradient.defined()) {
    const torch::NoGradGuard no_grad;
    return {op(inputs)};
  }
  Tensors leaves;
  for (const auto& input : inputs) leaves.push_back(input.detach().requires_grad_(true));
  const auto y = op(leaves);
  auto results = torch::autograd::grad({y}, leaves, {gradient});
  results.push_back(y.detach());
  return results;
}

struct Limits {
  double copy, matmul;
};

nlohmann::ordered_json run_case(const Case& c, bool backward, const Launch& at, double seconds,
                                const Limits& limits) {
  torch::Tensor gradient;
  if (backward) {
    const auto y = apply(c.ours, c.inputs, {})[0];
    gradient = random("bench.ops.gradient", y.sizes(), at).contiguous(y.suggest_memory_format());
  }
  // The plain form is not held to the memory layout that suits ours: the better of the two counts.
  Tensors packed = c.inputs, results, expected;
  packed[0] = packed[0].contiguous();
  const auto plain = [&](const Tensors& inputs) {
    const auto timing =
        measure(at, seconds / 2, {[&] { expected = apply(c.plain, inputs, gradient); }, {}, {}});
    return slowest(at, timing);
  };
  const double reference = std::min(plain(c.inputs), plain(packed));
  int64_t wrong = 0;
  const auto check = [&] {
    for (size_t i = 0; i < results.size(); ++i) wrong += count_wrong(results[i], expected[i]);
  };
  const auto timing =
      measure(at, seconds, {[&] { results = apply(c.ours, c.inputs, gradient); }, {}, check});
  const double time = slowest(at, timing);

  double operations = 0;
  if (c.forward_values == 0) {
    const FlopCounter counter;
    apply(c.ours, c.inputs, gradient);
    operations = counter.count();
  }
  const double ranks = at.world.size();
  const double bytes = (c.forward_values + (backward ? c.backward_values : 0)) *
                       static_cast<double>(c.inputs[0].element_size());
  const bool memory = bytes > 0;
  nlohmann::ordered_json row{{"name", c.name},
                             {"pass", backward ? "forward+backward" : "forward"},
                             {"time", time * 1e6},
                             {"gbps", nullptr},
                             {"gflops", nullptr}};
  row[memory ? "gbps" : "gflops"] = ranks * (memory ? bytes : operations) / time / 1e9;
  row["of_limit"] = memory ? 100 * ranks * bytes / time / limits.copy
                           : 100 * ranks * operations / time / limits.matmul;
  row["plain_time"] = reference * 1e6;
  row["speedup"] = reference / time;
  row["calls"] = timing.calls;
  row["wrong"] = total(at, wrong);
  return row;
}

}  // namespace

BenchReport bench_ops(const OpsBench& bench, const Launch& at, double seconds) {
  const Limits limits{copy_rate(at, seconds), matmul_rate(at, seconds)};
  BenchReport report;
  report.name = "ops";
  report.args = {{"batch", bench.batch},
                 {"channels", bench.channels},
                 {"resolution", bench.resolution},
                 {"seconds", seconds}};
  report.limits = {{"copy_GB/s", limits.copy / 1e9}, {"matmul_GFLOP/s", limits.matmul / 1e9}};
  report.columns = {{"name", "operator", ""},      {"pass", "pass", ""},
                    {"time", "time", "us"},        {"gbps", "traffic", "GB/s"},
                    {"gflops", "rate", "GFLOP/s"}, {"of_limit", "of limit", "%"},
                    {"plain_time", "plain", "us"}, {"speedup", "speedup", "x"},
                    {"calls", "calls", ""},        {"wrong", "#wrong", ""}};
  for (const auto& c : cases(bench, at))
    for (const bool backward : {false, true})
      report.rows.push_back(run_case(c, backward, at, seconds, limits));
  report.notes = {
      "time: median of the slowest rank; plain: the same in plain LibTorch operations, in the "
      "better "
      "memory layout",
      "of limit: of the memory copy (traffic: each value read or written once) or the matrix "
      "product"};
  return report;
}

}  // namespace stylescope
