// From torch's tensors to an AffineCrop: the part that the devices' bindings share.
#pragma once

#include <vector>

#include "cpu/affine_crop.h"
#include "host.h"

namespace hrnet_fast {

// The inverse of the affine map m [2, 3], in the order of AffineCrop::inverses.
inline void append_inverse(std::vector<float>& inverses, const double* m) {
  const double det = m[0] * m[4] - m[1] * m[3];
  const double a = m[4] / det, b = -m[1] / det, c = -m[3] / det, d = m[0] / det;
  for (double value : {a, b, -(a * m[2] + b * m[5]), c, d, -(c * m[2] + d * m[5])}) inverses.push_back(float(value));
}

// The Python page checks first and says more; these keep a direct call of the op from reading out of bounds.
inline void check_crops(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                        at::ArrayRef<double> mean, at::ArrayRef<double> std) {
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
  constexpr int64_t kMost = int64_t(1) << 30;  // pixels of a piece and sides of a picture are counted in 32 bits
  TORCH_CHECK_VALUE(size[0] <= kMost / size[1], "affine_crop: size ", size, " has more than 2^30 pixels");
  TORCH_CHECK_VALUE(image.size(0) <= kMost && image.size(1) <= kMost, "affine_crop: shape ", image.sizes(),
                    " has a side of more than 2^30 pixels");
}

// `run(p, count)` computes an AffineCrop of `count` pieces on the picture's device.
template <class Run>
at::Tensor affine_crop(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                       at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip, Run run) {
  check_crops(image, matrices, size, mean, std);
  const int64_t count = matrices.size(0), copies = flip ? 2 : 1;
  const at::Tensor out = at::empty({count * copies, 3, size[0], size[1]}, image.options().dtype(at::kFloat));
  if (out.numel() == 0) return out;
  const at::Tensor maps = matrices.contiguous();
  std::vector<float> inverses;
  for (int64_t n = 0; n < count; ++n) append_inverse(inverses, values_of<double>(maps) + n * 6);
  AffineCrop p = {};
  p.image = values_of<uint8_t>(image);
  p.height = image.size(0), p.width = image.size(1);
  p.stride_h = image.stride(0), p.stride_w = image.stride(1), p.stride_c = image.stride(2);
  p.inverses = inverses.data();
  p.out = out.mutable_data_ptr<float>();
  p.mirrored = flip ? p.out + count * 3 * size[0] * size[1] : nullptr;
  p.crop_height = size[0], p.crop_width = size[1];
  for (int c = 0; c < 3; ++c) p.scale[c] = float(1 / (255 * std[c])), p.bias[c] = float(-mean[c] / std[c]);
  run(p, count);
  return out;
}

}  // namespace hrnet_fast
