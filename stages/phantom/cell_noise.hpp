#pragma once

#include "io/base/simd.hpp"

#include <cstdint>

// Random numbers of a place: a 32-bit hash of integer coordinates and a key, cheap enough for every
// pixel and free of state, so that a place looks the same whatever is drawn around it.
namespace stylescope {

// The finaliser of MurmurHash3 (Appleby): a bijection whose bits all depend on all bits of `x`.
STYLESCOPE_INLINE uint32_t mix_bits(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6BU;
  x = (x ^ (x >> 13)) * 0xC2B2AE35U;
  return x ^ (x >> 16);
}

STYLESCOPE_INLINE uint32_t cell_hash(int32_t x, int32_t y, uint32_t key) {
  return mix_bits(static_cast<uint32_t>(x) * 0x9E3779B1U + static_cast<uint32_t>(y) * 0x7FEB352DU +
                  key);
}

// 0..1, from the upper 24 bits.
STYLESCOPE_INLINE float unit_float(uint32_t bits) {
  return static_cast<float>(static_cast<int32_t>(bits >> 8)) * 0x1.0p-24F;
}

STYLESCOPE_INLINE int32_t floor_int(float x) {
  const auto whole = static_cast<int32_t>(x);
  return whole - (x < static_cast<float>(whole) ? 1 : 0);
}

STYLESCOPE_INLINE float clamp_unit(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

// Smooth noise in 0..1 with mean 1/2: random values at whole coordinates, blended between them.
STYLESCOPE_INLINE float value_noise(float x, float y, uint32_t key) {
  const int32_t column = floor_int(x), row = floor_int(y);
  const float u = x - static_cast<float>(column), v = y - static_cast<float>(row);
  const float su = u * u * (3 - 2 * u), sv = v * v * (3 - 2 * v);
  const float a = unit_float(cell_hash(column, row, key));
  const float b = unit_float(cell_hash(column + 1, row, key));
  const float c = unit_float(cell_hash(column, row + 1, key));
  const float d = unit_float(cell_hash(column + 1, row + 1, key));
  const float upper = a + (b - a) * su, lower = c + (d - c) * su;
  return upper + (lower - upper) * sv;
}

}  // namespace stylescope
