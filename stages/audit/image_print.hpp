#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <torch/torch.h>

// What is kept of an image to find its near-duplicates: the low frequencies of its cosine
// transform, as in the perceptual hash pHash (Zauner 2010, "Implementation and Benchmarking of
// Perceptual Image Hash Functions"), from which hash_bits() makes 63 bits. Unlike pHash, a
// coefficient is compared with its median over the data set and not over the image: X-rays of the
// same joint look all alike, and what they have in common must not fill the bits.
namespace stylescope {

constexpr int64_t kThumbSide = 32;  // at most

// Grey, averaged by area to at most 32 x 32, then shifted and scaled to mean 0 and deviation 1:
// brightness and contrast do not count.
struct Thumb {
  int64_t side = 0;
  std::vector<float> values;  // side * side, by rows; zeros where the image is even
  float contrast = 0;         // the deviation before, in grey levels of 0..255
};

// pixels: (C, H, W) uint8, C 1 or 3, at least 8 x 8. Of an image that is no square both axes are
// scaled apart.
Thumb thumb_of(const torch::Tensor& pixels);

constexpr int64_t kPrintSide = 8;
constexpr int64_t kPrintSize = kPrintSide * kPrintSide;

struct ImagePrint {
  // Orthonormal DCT-II of the thumb, divided by its side: vertical frequency 0..7 by horizontal
  // frequency 0..7. The first, of the mean, is 0.
  std::array<float, kPrintSize> low{};
  float contrast = 0;
};

ImagePrint print_of(const Thumb& thumb);
ImagePrint print_of(const torch::Tensor& pixels);

// One of the 8 ways to lay a square down again.
struct Orientation {
  bool transposed = false, flipped = false, mirrored = false;  // in this order
  std::string name() const;  // "same", "mirrored", "transposed and flipped", ...
};
ImagePrint turned(const ImagePrint& print, const Orientation& orientation);
Thumb turned(const Thumb& thumb, const Orientation& orientation);

// The image that has these low frequencies and no others, side * side values.
std::vector<float> picture_of(const std::array<float, kPrintSize>& low, int64_t side);

// Of each coefficient over the prints; of an even number of them the upper of the two middle ones.
std::array<float, kPrintSize> medians_of(const std::vector<ImagePrint>& prints);

// Bit k is set where coefficient k is above its median; bit 0 never.
uint64_t hash_bits(const ImagePrint& print, const std::array<float, kPrintSize>& medians);

}  // namespace stylescope
