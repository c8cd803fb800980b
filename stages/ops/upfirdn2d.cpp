#include "stages/ops/upfirdn2d.hpp"

#include "io/base/error.hpp"
#include "stages/ops/cuda_kernels.hpp"
#include "stages/ops/storage_type.hpp"
#include "stages/ops/upfirdn2d_kernel.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include <torch/torch.h>

namespace stylescope {
namespace {

using detail::UpfirdnArguments;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

torch::Tensor compute(const torch::Tensor& x, const torch::Tensor& filter,
                      const UpfirdnArguments& a) {
  if (x.is_cpu() && detail::is_stored_type(x.scalar_type()))
    return detail::upfirdn2d_cpu(x, filter, a);
  if (detail::cuda_kernel_usable(detail::CudaKernel::upfirdn2d, x))
    return detail::upfirdn2d_by(*detail::cuda_kernel_table(), x, filter, a);
  return upfirdn2d_plain(x, filter, a.up, a.down, a.pad, a.flip);
}

std::vector<int64_t> pack(const UpfirdnArguments& a) {
  return {a.up.x, a.up.y, a.down.x, a.down.y, a.pad.x0, a.pad.x1, a.pad.y0, a.pad.y1, a.flip};
}

UpfirdnArguments unpack(const std::vector<int64_t>& v) {
  return {{v[0], v[1]}, {v[2], v[3]}, {v[4], v[5], v[6], v[7]}, v[8] != 0};
}

class Upfirdn2d : public torch::autograd::Function<Upfirdn2d> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& filter, const UpfirdnArguments& arguments) {
    auto y = compute(x, filter, arguments);
    context->saved_data["filter"] = filter;
    const auto back =
        detail::upfirdn_adjoint(arguments, filter, {x.size(2), x.size(3)}, {y.size(2), y.size(3)});
    context->saved_data["back"] = pack(back);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto back = unpack(context->saved_data["back"].toIntVector());
    const auto filter = context->saved_data["filter"].toTensor();
    return {Upfirdn2d::apply(gradients[0], filter, back), torch::Tensor(), torch::Tensor()};
  }
};

int64_t floor_half(int64_t v) { return v >= 0 ? v / 2 : -((1 - v) / 2); }

std::pair<int64_t, int64_t> filter_size(const torch::Tensor& filter) {
  return filter.defined() ? std::pair{filter.size(0), filter.size(-1)}
                          : std::pair<int64_t, int64_t>{1, 1};
}

}  // namespace

detail::UpfirdnArguments detail::upfirdn_adjoint(const UpfirdnArguments& a,
                                                 const torch::Tensor& filter, ImageSize in,
                                                 ImageSize out) {
  UpfirdnArguments b{a.down, a.up, {}, !a.flip};
  b.pad.x0 = filter.size(-1) - a.pad.x0 - 1;
  b.pad.x1 = in.width * a.up.x - out.width * a.down.x + a.pad.x0 - a.up.x + 1;
  b.pad.y0 = filter.size(0) - a.pad.y0 - 1;
  b.pad.y1 = in.height * a.up.y - out.height * a.down.y + a.pad.y0 - a.up.y + 1;
  return b;
}

torch::Tensor detail::filter_with_gain(const torch::Tensor& filter, double gain,
                                       const torch::Tensor& x) {
  const auto f =
      filter.defined() ? filter.detach() : torch::ones({1, 1}, x.options().requires_grad(false));
  if (gain == 1) return f;
  // A separable filter is applied twice: each time with the root of the gain.
  return f * (f.dim() == 1 ? std::sqrt(gain) : gain);
}

torch::Tensor setup_filter(const torch::Tensor& taps, const FilterOptions& options) {
  auto f = taps.defined() ? taps.detach() : torch::ones({1, 1});
  if (!f.is_floating_point()) f = f.to(torch::kFloat32);
  validate(f.dim() <= 2 && f.numel() > 0,
           "a filter is a number, a row or a matrix of taps (these have the shape ", f.sizes(),
           "); give at least one tap");
  if (f.dim() == 0) f = f.reshape({1});
  const bool separable = options.separable.value_or(f.dim() == 1 && f.numel() >= 8);
  validate(!separable || f.dim() == 1,
           "a filter kept separable needs a row of taps (this one has the shape ", f.sizes(),
           "); give one row, or do not ask for separable");
  if (f.dim() == 1 && !separable) f = torch::outer(f, f);
  if (options.normalize) f = f / f.sum();
  if (options.flip) f = f.flip(f.dim() == 1 ? std::vector<int64_t>{0} : std::vector<int64_t>{0, 1});
  // A separable filter is applied twice: each time with the root of the gain.
  return f.mul(f.dim() == 1 ? std::sqrt(options.gain) : options.gain).contiguous();
}

torch::Tensor default_filter() { return setup_filter(torch::tensor({1.0F, 3.0F, 3.0F, 1.0F})); }

torch::Tensor upfirdn2d(const torch::Tensor& x, const torch::Tensor& filter, Factor up, Factor down,
                        Padding pad, bool flip, double gain) {
  SS_CHECK(x.dim() == 4 && x.is_floating_point(), x.sizes());
  SS_CHECK(up.x >= 1 && up.y >= 1 && down.x >= 1 && down.y >= 1);
  const auto f = detail::filter_with_gain(filter, gain, x);
  SS_CHECK((f.dim() == 1 || f.dim() == 2) && f.numel() > 0, f.sizes());
  return Upfirdn2d::apply(x, f, UpfirdnArguments{up, down, pad, flip});
}

torch::Tensor upsample2d(const torch::Tensor& x, const torch::Tensor& filter, Factor up,
                         Padding pad, bool flip, double gain) {
  const auto [fh, fw] = filter_size(filter);
  pad.x0 += floor_half(fw + up.x - 1);
  pad.x1 += floor_half(fw - up.x);
  pad.y0 += floor_half(fh + up.y - 1);
  pad.y1 += floor_half(fh - up.y);
  return upfirdn2d(x, filter, up, 1, pad, flip, gain * static_cast<double>(up.x * up.y));
}

torch::Tensor downsample2d(const torch::Tensor& x, const torch::Tensor& filter, Factor down,
                           Padding pad, bool flip, double gain) {
  const auto [fh, fw] = filter_size(filter);
  pad.x0 += floor_half(fw - down.x + 1);
  pad.x1 += floor_half(fw - down.x);
  pad.y0 += floor_half(fh - down.y + 1);
  pad.y1 += floor_half(fh - down.y);
  return upfirdn2d(x, filter, 1, down, pad, flip, gain);
}

torch::Tensor filter2d(const torch::Tensor& x, const torch::Tensor& filter, Padding pad, bool flip,
                       double gain) {
  const auto [fh, fw] = filter_size(filter);
  pad.x0 += fw / 2;
  pad.x1 += (fw - 1) / 2;
  pad.y0 += fh / 2;
  pad.y1 += (fh - 1) / 2;
  return upfirdn2d(x, filter, 1, 1, pad, flip, gain);
}

}  // namespace stylescope
