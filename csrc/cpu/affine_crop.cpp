// affine_crop on the CPU. The formula and the schema are in kernels/affine_crop.py.
#include "cpu/affine_crop.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 8192;  // pixels written by one task: fewer are done sooner than a thread is woken

AffineCropRows rows_for(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return cpu_features().avx512f ? affine_crop_rows__avx512 : nullptr;
  if (isa == "avx2") return cpu_features().avx2 ? affine_crop_rows__avx2 : nullptr;
#endif
  return isa == "portable" ? affine_crop_rows__portable : nullptr;
}

void append_inverse(std::vector<float>& inverses, const double* m) {
  const double det = m[0] * m[4] - m[1] * m[3];
  const double a = m[4] / det, b = -m[1] / det, c = -m[3] / det, d = m[0] / det;
  for (double value : {a, b, -(a * m[2] + b * m[5]), c, d, -(c * m[2] + d * m[5])}) inverses.push_back(float(value));
}

at::Tensor affine_crop(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                       at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip, AffineCropRows rows) {
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
  const int64_t count = matrices.size(0), copies = flip ? 2 : 1;
  const at::Tensor out = at::empty({count * copies, 3, size[0], size[1]}, image.options().dtype(at::kFloat));
  const at::Tensor maps = matrices.contiguous();
  std::vector<float> inverses;
  for (int64_t n = 0; n < count; ++n) append_inverse(inverses, maps.const_data_ptr<double>() + n * 6);
  AffineCrop p = {};
  p.image = image.const_data_ptr<uint8_t>();
  p.height = image.size(0), p.width = image.size(1);
  p.stride_h = image.stride(0), p.stride_w = image.stride(1), p.stride_c = image.stride(2);
  p.inverses = inverses.data();
  p.out = out.mutable_data_ptr<float>();
  p.mirrored = flip ? p.out + count * 3 * size[0] * size[1] : nullptr;
  p.crop_height = size[0], p.crop_width = size[1];
  for (int c = 0; c < 3; ++c) p.scale[c] = float(1 / (255 * std[c])), p.bias[c] = float(-mean[c] / std[c]);
  const int64_t grain = std::max<int64_t>(1, kGrain / p.crop_width);
  at::parallel_for(0, count * p.crop_height, grain, [&](int64_t begin, int64_t end) { rows(p, begin, end); });
  return out;
}

at::Tensor affine_crop_cpu(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                           at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip) {
  static const AffineCropRows rows = rows_for(cpu_isa());
  return affine_crop(image, matrices, size, mean, std, flip, rows);
}

// Runs the rows of one named instruction set, for the tests.
at::Tensor affine_crop_body(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                            at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip, std::string_view body) {
  const AffineCropRows rows = rows_for(body);
  TORCH_CHECK_VALUE(rows != nullptr, "affine_crop_body: this machine cannot run the body ", std::string(body));
  return affine_crop(image, matrices, size, mean, std, flip, rows);
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("affine_crop", affine_crop_cpu); }

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "affine_crop_body(Tensor image, Tensor matrices, int[2] size, float[] mean, float[] std, bool flip, str body)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("affine_crop_body", affine_crop_body); }

}  // namespace hrnet_fast
