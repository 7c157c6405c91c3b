// affine_crop on the CPU. The formula and the schema are in kernels/affine_crop.py.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 4096;  // pixels written by one task

// A pixel's three channels and a fourth that is not used, in the vector types of GCC and Clang.
typedef uint8_t Bytes __attribute__((vector_size(4)));
typedef float Floats __attribute__((vector_size(16)));

struct AffineCrop {
  const uint8_t* image;  // [height, width, 3]
  int64_t height, width, stride_h, stride_w, stride_c;
  const double* matrices;  // [N, 2, 3], contiguous
  float* out;              // [N, 3, crop_height, crop_width], contiguous
  float* mirrored;         // the same, left for right; null if not asked for
  int64_t crop_height, crop_width;
  Floats scale, bias;  // from a grey level to its normalised value
};

struct Inverse {
  float a, b, tx, c, d, ty;
};

Inverse invert(const double* m) {
  const double det = m[0] * m[4] - m[1] * m[3];
  const double a = m[4] / det, b = -m[1] / det, c = -m[3] / det, d = m[0] / det;
  return {float(a), float(b), float(-(a * m[2] + b * m[5])), float(c), float(d), float(-(c * m[2] + d * m[5]))};
}

// Just outside the picture is as good as far outside, and fits an integer; so does NaN.
float clamp(float position, int64_t side) {
  const float low = position > -2.f ? position : -2.f;
  return low < float(side + 1) ? low : float(side + 1);
}

int32_t floor_of(float value) {
  const int32_t whole = int32_t(value);
  return whole - (float(whole) > value);
}

Floats round_to_even(Floats levels) {
  const float kWhole = 12582912.f;  // 1.5 * 2^23, whose last bit is 1
  return (levels + kWhole) - kWhole;
}

// Four bytes, of which the last belongs to the next pixel.
Floats load_pixel(const uint8_t* pixel) {
  Bytes bytes;
  memcpy(&bytes, pixel, sizeof bytes);
  return __builtin_convertvector(bytes, Floats);
}

// Any pixel of any layout; 0 outside the picture.
Floats read_pixel(const AffineCrop& p, int64_t row, int64_t column) {
  if (row < 0 || row >= p.height || column < 0 || column >= p.width) return Floats{};
  const uint8_t* pixel = p.image + row * p.stride_h + column * p.stride_w;
  return Floats{float(pixel[0]), float(pixel[p.stride_c]), float(pixel[2 * p.stride_c])};
}

void crop_row(const AffineCrop& p, int64_t n, int64_t y) {
  const Inverse m = invert(p.matrices + n * 6);
  const int64_t plane = p.crop_height * p.crop_width;
  const bool dense = p.stride_w == 3 && p.stride_c == 1;
  const int64_t start = n * 3 * plane + y * p.crop_width;
  for (int64_t x = 0; x < p.crop_width; ++x) {
    const float u = clamp(m.a * float(x) + m.b * float(y) + m.tx, p.width);
    const float v = clamp(m.c * float(x) + m.d * float(y) + m.ty, p.height);
    const int64_t column = floor_of(u), row = floor_of(v);
    const float du = u - float(column), dv = v - float(row);
    Floats top_left, top_right, left, right;
    if (dense && column >= 0 && column + 2 < p.width && row >= 0 && row + 1 < p.height) {
      const uint8_t *above = p.image + row * p.stride_h + column * 3, *below = above + p.stride_h;
      top_left = load_pixel(above), top_right = load_pixel(above + 3);
      left = load_pixel(below), right = load_pixel(below + 3);
    } else {
      top_left = read_pixel(p, row, column), top_right = read_pixel(p, row, column + 1);
      left = read_pixel(p, row + 1, column), right = read_pixel(p, row + 1, column + 1);
    }
    const Floats above = top_left + (top_right - top_left) * du, below = left + (right - left) * du;
    const Floats normalised = round_to_even(above + (below - above) * dv) * p.scale + p.bias;
    for (int c = 0; c < 3; ++c) p.out[start + c * plane + x] = normalised[c];
    if (p.mirrored == nullptr) continue;
    for (int c = 0; c < 3; ++c) p.mirrored[start + c * plane + p.crop_width - 1 - x] = normalised[c];
  }
}

at::Tensor affine_crop_cpu(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                           at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip) {
  TORCH_CHECK_VALUE(image.dim() == 3 && image.size(2) == 3 && image.numel() > 0, "affine_crop: shape ", image.sizes(),
                    " is not (H, W, 3)");
  TORCH_CHECK_VALUE(matrices.dim() == 3 && matrices.size(1) == 2 && matrices.size(2) == 3, "affine_crop: shape ",
                    matrices.sizes(), " is not (N, 2, 3)");
  TORCH_CHECK_VALUE(size.size() == 2 && size[0] > 0 && size[1] > 0, "affine_crop: size ", size,
                    " is not two positive numbers");
  TORCH_CHECK_VALUE(mean.size() == 3 && std.size() == 3, "affine_crop: mean and std must have three numbers each");
  TORCH_CHECK_TYPE(image.scalar_type() == at::kByte, "affine_crop: the picture must be uint8");
  TORCH_CHECK_TYPE(matrices.scalar_type() == at::kDouble && matrices.is_cpu(),
                   "affine_crop: the matrices must be float64, on the cpu");
  const at::Tensor maps = matrices.contiguous();
  const int64_t count = maps.size(0), copies = flip ? 2 : 1;
  const at::Tensor out = at::empty({count * copies, 3, size[0], size[1]}, image.options().dtype(at::kFloat));
  AffineCrop p = {};
  p.image = image.const_data_ptr<uint8_t>();
  p.height = image.size(0), p.width = image.size(1);
  p.stride_h = image.stride(0), p.stride_w = image.stride(1), p.stride_c = image.stride(2);
  p.matrices = maps.const_data_ptr<double>();
  p.out = out.mutable_data_ptr<float>();
  p.mirrored = flip ? p.out + count * 3 * size[0] * size[1] : nullptr;
  p.crop_height = size[0], p.crop_width = size[1];
  for (int c = 0; c < 3; ++c) p.scale[c] = float(1 / (255 * std[c])), p.bias[c] = float(-mean[c] / std[c]);
  const int64_t grain = std::max<int64_t>(1, kGrain / p.crop_width);
  at::parallel_for(0, count * p.crop_height, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) crop_row(p, row / p.crop_height, row % p.crop_height);
  });
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("affine_crop", affine_crop_cpu); }

}  // namespace hrnet_fast
