#include "stages/augment/affine_sample.hpp"

#include "io/base/error.hpp"
#include "stages/ops/parallel.hpp"

#include <cmath>

#include <torch/torch.h>

namespace stylescope {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One row of results: where each of its pixels reads. Kept for all channels of the image.
template <class T>
struct RowReads {
  struct Read {
    int64_t at;  // of the upper left one of four pixels, in the plane
    T upper_left, upper_right, lower_left, lower_right;
  };
  std::vector<Read> inner;  // all four pixels lie in the image
  std::vector<int64_t> inner_pixels;
  struct EdgeRead {
    int64_t pixel, at;
    T weight;
  };
  std::vector<EdgeRead> edge;  // one entry a pixel that lies in it
};

template <class T>
void find_reads(const AffineMap& map, int64_t y, const at::IntArrayRef from, int64_t height,
                int64_t width, RowReads<T>& reads) {
  const int64_t rows = from[2], columns = from[3];
  reads.inner.clear();
  reads.inner_pixels.clear();
  reads.edge.clear();
  const double dy = static_cast<double>(y) - static_cast<double>(height - 1) / 2;
  const double x0 = map.xy * dy + map.x0 + static_cast<double>(columns - 1) / 2;
  const double y0 = map.yy * dy + map.y0 + static_cast<double>(rows - 1) / 2;
  const double half = static_cast<double>(width - 1) / 2;
  for (int64_t x = 0; x < width; ++x) {
    const double dx = static_cast<double>(x) - half;
    const double sx = map.xx * dx + x0, sy = map.yx * dx + y0;
    // Also false for what is not a number.
    if (!(sx > -1 && sy > -1 && sx < static_cast<double>(columns) &&
          sy < static_cast<double>(rows)))
      continue;
    const double floor_x = std::floor(sx), floor_y = std::floor(sy);
    const auto ix = static_cast<int64_t>(floor_x), iy = static_cast<int64_t>(floor_y);
    const double wx = sx - floor_x, wy = sy - floor_y;
    const double weights[4] = {(1 - wx) * (1 - wy), wx * (1 - wy), (1 - wx) * wy, wx * wy};
    if (ix >= 0 && iy >= 0 && ix + 1 < columns && iy + 1 < rows) {
      reads.inner.push_back({iy * columns + ix, static_cast<T>(weights[0]),
                             static_cast<T>(weights[1]), static_cast<T>(weights[2]),
                             static_cast<T>(weights[3])});
      reads.inner_pixels.push_back(x);
      continue;
    }
    for (int64_t corner = 0; corner < 4; ++corner) {
      const int64_t px = ix + (corner & 1), py = iy + (corner >> 1);
      if (px >= 0 && py >= 0 && px < columns && py < rows)
        reads.edge.push_back({x, py * columns + px, static_cast<T>(weights[corner])});
    }
  }
}

// The loops of both directions: visit(reads of a row, that row of a result's plane, plane of the
// image) for all channels. Images are independent of each other, so that threads share them out.
template <class T, class Visit>
void for_each_row(const std::vector<AffineMap>& maps, at::IntArrayRef from, int64_t height,
                  int64_t width, const Visit& visit) {
  const int64_t channels = from[1], rows = from[2], columns = from[3];
  parallel_for(0, static_cast<int64_t>(maps.size()), 1, [&](int64_t begin, int64_t end) {
    RowReads<T> reads;
    for (int64_t n = begin; n < end; ++n)
      for (int64_t y = 0; y < height; ++y) {
        find_reads(maps[static_cast<size_t>(n)], y, from, height, width, reads);
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t plane = n * channels + c;
          visit(reads, (plane * height + y) * width, plane * rows * columns);
        }
      }
  });
}

template <class T>
void sample_cpu(const T* images, T* results, const std::vector<AffineMap>& maps,
                at::IntArrayRef from, int64_t height, int64_t width) {
  const int64_t columns = from[3];
  for_each_row<T>(maps, from, height, width,
                  [&](const RowReads<T>& reads, int64_t row, int64_t plane) {
                    const T* image = images + plane;
                    T* result = results + row;
                    for (size_t i = 0; i < reads.inner.size(); ++i) {
                      const auto& r = reads.inner[i];
                      const T* at = image + r.at;
                      result[reads.inner_pixels[i]] = at[0] * r.upper_left + at[1] * r.upper_right +
                                                      at[columns] * r.lower_left +
                                                      at[columns + 1] * r.lower_right;
                    }
                    for (const auto& r : reads.edge) result[r.pixel] += image[r.at] * r.weight;
                  });
}

template <class T>
void adjoint_cpu(const T* gradients, T* images, const std::vector<AffineMap>& maps,
                 at::IntArrayRef from, int64_t height, int64_t width) {
  const int64_t columns = from[3];
  for_each_row<T>(maps, from, height, width,
                  [&](const RowReads<T>& reads, int64_t row, int64_t plane) {
                    T* image = images + plane;
                    const T* gradient = gradients + row;
                    for (size_t i = 0; i < reads.inner.size(); ++i) {
                      const auto& r = reads.inner[i];
                      const T g = gradient[reads.inner_pixels[i]];
                      T* at = image + r.at;
                      at[0] += g * r.upper_left;
                      at[1] += g * r.upper_right;
                      at[columns] += g * r.lower_left;
                      at[columns + 1] += g * r.lower_right;
                    }
                    for (const auto& r : reads.edge) image[r.at] += gradient[r.pixel] * r.weight;
                  });
}

bool has_kernel(const torch::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kFloat64);
}

// Sizes of both sides and which way: from images to results, or the adjoint.
struct Direction {
  int64_t rows, columns, height, width;
  bool adjoint;
};

torch::Tensor compute(const torch::Tensor& x, const std::vector<AffineMap>& maps,
                      const Direction& d) {
  if (!has_kernel(x))
    return d.adjoint ? affine_sample_adjoint_plain(x, maps, d.rows, d.columns)
                     : affine_sample_plain(x, maps, d.height, d.width);
  const auto in = x.contiguous();
  const int64_t to_rows = d.adjoint ? d.rows : d.height;
  const int64_t to_columns = d.adjoint ? d.columns : d.width;
  auto out = torch::zeros({x.size(0), x.size(1), to_rows, to_columns}, in.options());
  const std::vector<int64_t> from{x.size(0), x.size(1), d.rows, d.columns};
  const auto run = [&]<class T>(T) {
    const T* read = in.const_data_ptr<T>();
    T* written = out.mutable_data_ptr<T>();
    if (d.adjoint)
      adjoint_cpu(read, written, maps, from, d.height, d.width);
    else
      sample_cpu(read, written, maps, from, d.height, d.width);
  };
  if (x.scalar_type() == torch::kFloat32)
    run(float{});
  else
    run(double{});
  return out;
}

torch::Tensor packed(const std::vector<AffineMap>& maps) {
  auto rows = torch::empty({static_cast<int64_t>(maps.size()), 6}, torch::kFloat64);
  auto* to = rows.mutable_data_ptr<double>();
  for (const auto& m : maps)
    for (const double x : {m.xx, m.xy, m.x0, m.yx, m.yy, m.y0}) *to++ = x;
  return rows;
}

std::vector<AffineMap> unpacked(const torch::Tensor& rows) {
  const auto* m = rows.const_data_ptr<double>();
  std::vector<AffineMap> maps;
  for (int64_t i = 0; i < rows.size(0); ++i, m += 6)
    maps.push_back({m[0], m[1], m[2], m[3], m[4], m[5]});
  return maps;
}

// A linear function: the derivative of each direction is the other one, to any order.
class AffineSample : public torch::autograd::Function<AffineSample> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& maps, const Direction& d) {
    context->saved_data["maps"] = maps;
    context->saved_data["sizes"] =
        std::vector<int64_t>{d.rows, d.columns, d.height, d.width, d.adjoint};
    return compute(x, unpacked(maps), d);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto s = context->saved_data["sizes"].toIntVector();
    const Direction back{s[0], s[1], s[2], s[3], s[4] == 0};
    return {apply(gradients[0], context->saved_data["maps"].toTensor(), back), torch::Tensor(),
            torch::Tensor()};
  }
};

// In LibTorch's own coordinates, which run from -1 to 1 between the outer borders of the pixels.
torch::Tensor grid_of(const std::vector<AffineMap>& maps, int64_t rows, int64_t columns,
                      int64_t height, int64_t width, const torch::TensorOptions& options) {
  const auto in_double = options.dtype(torch::kFloat64).requires_grad(false);
  const auto m = packed(maps).to(options.device()).t().contiguous().view({6, -1, 1, 1});
  const auto x = (torch::arange(width, in_double) - static_cast<double>(width - 1) / 2);
  const auto y =
      (torch::arange(height, in_double) - static_cast<double>(height - 1) / 2).unsqueeze(1);
  const auto sx = (m[0] * x + m[1] * y + m[2]) * (2 / static_cast<double>(columns));
  const auto sy = (m[3] * x + m[4] * y + m[5]) * (2 / static_cast<double>(rows));
  return torch::stack({sx, sy}, 3).to(options.dtype());
}

constexpr int64_t kBilinear = 0, kZeros = 0;

}  // namespace

torch::Tensor affine_sample(const torch::Tensor& images, const std::vector<AffineMap>& maps,
                            int64_t height, int64_t width) {
  SS_CHECK(images.dim() == 4 && images.size(0) == static_cast<int64_t>(maps.size()),
           images.sizes());
  return AffineSample::apply(images, packed(maps),
                             Direction{images.size(2), images.size(3), height, width, false});
}

torch::Tensor affine_sample_plain(const torch::Tensor& images, const std::vector<AffineMap>& maps,
                                  int64_t height, int64_t width) {
  const auto grid = grid_of(maps, images.size(2), images.size(3), height, width, images.options());
  return at::grid_sampler_2d(images, grid, kBilinear, kZeros, /*align_corners=*/false);
}

torch::Tensor affine_sample_adjoint_plain(const torch::Tensor& gradient,
                                          const std::vector<AffineMap>& maps, int64_t rows,
                                          int64_t columns) {
  const auto grid =
      grid_of(maps, rows, columns, gradient.size(2), gradient.size(3), gradient.options());
  // Only the shape of the images counts for their gradient.
  const auto shape = torch::zeros({1, 1, 1, 1}, gradient.options())
                         .expand({gradient.size(0), gradient.size(1), rows, columns});
  return std::get<0>(at::grid_sampler_2d_backward(gradient.contiguous(), shape, grid, kBilinear,
                                                  kZeros, /*align_corners=*/false, {true, false}));
}

}  // namespace stylescope
