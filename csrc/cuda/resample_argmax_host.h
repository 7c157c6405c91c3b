// From torch's tensors to a Resampling: the part that the binding and the tests share.
#pragma once

#include <ATen/ops/amax.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sub.h>

#include <vector>

#include "cuda/device/resample_argmax.cuh"
#include "resample_blends.h"

namespace hrnet_fast {

// What is taken from each image's values, lest an exponential overflow: [N] float32 on the maps' device.
inline at::Tensor exponent_shifts(at::TensorList maps) {
  constexpr double kLargestExponent = 80;  // float32 holds e^88
  at::Tensor largest;
  for (const at::Tensor& map : maps) {
    const at::Tensor own = at::amax(map, {1, 2, 3}).to(at::kFloat);
    largest = largest.defined() ? at::maximum(largest, own) : own;
  }
  return at::clamp_min(at::sub(largest, kLargestExponent), 0);
}

// A Resampling's maps and blends one after another, as bytes on the maps' device.
inline at::Tensor upload(const std::vector<ResampleMap>& maps, const std::vector<Blend>& blends, at::Device device) {
  const int64_t split = int64_t(maps.size() * sizeof(ResampleMap)), size = int64_t(blends.size() * sizeof(Blend));
  const at::Tensor table = at::empty({split + size}, at::TensorOptions(at::kByte).pinned_memory(device.is_cuda()));
  memcpy(table.mutable_data_ptr<uint8_t>(), maps.data(), split);
  memcpy(table.mutable_data_ptr<uint8_t>() + split, blends.data(), size);
  return table.to(device, /*non_blocking=*/true);
}

// `run(p)` computes a Resampling on the maps' device.
template <class Run>
at::Tensor resample_argmax(at::TensorList maps, at::IntArrayRef inner, at::TensorList rows, at::TensorList row_weights,
                           at::TensorList cols, at::TensorList col_weights, bool exp, bool align_corners, Run run) {
  const size_t count = maps.size();
  TORCH_CHECK_VALUE(count > 0 && inner.size() == 2 * count && rows.size() == count && row_weights.size() == count &&
                        cols.size() == count && col_weights.size() == count,
                    "resample_argmax: each map needs an inner size and its taps");
  Resampling p = {};
  p.dtype = dtype_of(maps[0], "resample_argmax");
  TORCH_CHECK_TYPE(p.dtype != Dtype::f64, "resample_argmax: float64 is not taken");
  std::vector<ResampleMap> parts;
  std::vector<Blend> blends;
  for (size_t k = 0; k < count; ++k) {
    const at::Tensor& t = maps[k];
    const at::IntArrayRef size = inner.slice(2 * k, 2);
    check_terms("resample_argmax", {maps[0], t}, size, "bilinear");
    TORCH_CHECK_VALUE(t.size(1) == maps[0].size(1), "resample_argmax: the maps differ in classes");
    const Term term = {t.const_data_ptr(), t.size(2), t.size(3), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
    const int64_t first_row = int64_t(blends.size());
    append_blends(blends, rows[k], row_weights[k], size[0]);
    const int64_t first_col = int64_t(blends.size());
    append_blends(blends, cols[k], col_weights[k], size[1]);
    parts.push_back({term, size[0], size[1], first_row, first_col});
    TORCH_CHECK_VALUE(rows[k].size(0) == rows[0].size(0) && cols[k].size(0) == cols[0].size(0),
                      "resample_argmax: the maps' taps differ in size");
  }
  p.count = int64_t(count), p.batch = maps[0].size(0), p.channels = maps[0].size(1);
  p.height = rows[0].size(0), p.width = cols[0].size(0), p.align_corners = align_corners;
  TORCH_CHECK_VALUE(p.channels <= 256, "resample_argmax: ", p.channels, " classes; labels have 8 bits");
  constexpr int64_t kMost = int64_t(1) << 30;  // labels of an image are counted in 32 bits
  TORCH_CHECK_VALUE(p.width == 0 || p.height <= kMost / p.width, "resample_argmax: ", p.height, " x ", p.width,
                    " labels are more than 2^30");
  const at::Tensor labels = at::empty({p.batch, p.height, p.width}, maps[0].options().dtype(at::kByte));
  if (labels.numel() == 0) return labels;
  const at::Tensor table = upload(parts, blends, labels.device());
  const at::Tensor shifts = exp ? exponent_shifts(maps) : at::Tensor();
  p.maps = reinterpret_cast<const ResampleMap*>(table.const_data_ptr<uint8_t>());
  p.blends = reinterpret_cast<const Blend*>(p.maps + count);
  p.shifts = exp ? shifts.const_data_ptr<float>() : nullptr;
  p.labels = labels.mutable_data_ptr<uint8_t>();
  run(p);
  return labels;
}

}  // namespace hrnet_fast
