#pragma once

#include <string>
#include <string_view>

#include <torch/torch.h>

// Text and pictures as they go into an HTML page that refers to nothing outside itself.
namespace stylescope::html {

// & < > " ' as entities: safe in text and in quoted attributes.
std::string escape(std::string_view text);

// RFC 4648, with padding.
std::string base64(std::string_view bytes);

// "data:image/png;base64,..." of a picture (C, H, W) uint8, C = 1 or 3 / of the bytes of a PNG.
std::string png_uri(const torch::Tensor& pixels);
std::string png_uri(std::string_view png);

// printf's "%.<digits>f"; "n/a" for what is no finite number.
std::string fixed(double value, int digits);
// "-0.53", "+1.20", "0.00".
std::string with_sign(double value, int digits);
// "87 %", "<1 %" and ">99 %" where rounding would say never or always.
std::string percent(double share);
// "1,234,567".
std::string thousands(int64_t value);

}  // namespace stylescope::html
