#pragma once

#include "stages/ops/host_device.hpp"

#include <cstdint>

namespace stylescope::detail {

// [N,C,...] dense in memory: runs of `inner` values share one channel.
struct BiasActShape {
  int64_t count, channels, inner;
};

// clamp <= 0: none. gain > 0.
struct BiasActConstants {
  double slope, gain, clamp;
};

// The clamp as the output's type has it: a clamped value must equal it when it is read again.
template <class T>
STYLESCOPE_HD Accumulate<T> bias_act_limit(const BiasActConstants& k) {
  return static_cast<Accumulate<T>>(static_cast<T>(static_cast<Accumulate<T>>(k.clamp)));
}

// Value i, counted in the order of memory, of clamp(gain * lrelu(x + bias)); bias may be null. NaN
// passes.
template <class T, class Index>
STYLESCOPE_HD T bias_act_element(const T* x, const T* bias, const BiasActShape& s,
                                 const BiasActConstants& k, Index i) {
  using Sum = Accumulate<T>;
  auto v = static_cast<Sum>(x[i]);
  if (bias)
    v += static_cast<Sum>(bias[i / static_cast<Index>(s.inner) % static_cast<Index>(s.channels)]);
  v = (v > 0 ? v : v * static_cast<Sum>(k.slope)) * static_cast<Sum>(k.gain);
  if (k.clamp > 0) {
    const Sum limit = bias_act_limit<T>(k);
    v = v < -limit ? -limit : v;
    v = v > limit ? limit : v;
  }
  return static_cast<T>(v);
}

// Value i of gradient * dy/dx, from the output y: gain > 0 keeps the sign, and where the clamp
// bites |y| is the clamp.
template <class T, class Index>
STYLESCOPE_HD T bias_act_gradient_element(const T* gradient, const T* y, const BiasActConstants& k,
                                          Index i) {
  using Sum = Accumulate<T>;
  const auto v = static_cast<Sum>(y[i]);
  Sum g = static_cast<Sum>(gradient[i]) * static_cast<Sum>(k.gain);
  if (!(v > 0)) g *= static_cast<Sum>(k.slope);
  if (k.clamp > 0) {
    const Sum limit = bias_act_limit<T>(k);
    if (v >= limit || v <= -limit) g = 0;
  }
  return static_cast<T>(g);
}

}  // namespace stylescope::detail
