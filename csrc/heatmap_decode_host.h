// From torch's tensors to a HeatmapDecode: the part that the devices' bindings share.
#pragma once

#include <optional>

#include "cpu/heatmap_decode.h"
#include "host.h"

namespace hrnet_fast {

inline Heatmaps describe(const at::Tensor& maps) {
  return {maps.const_data_ptr(), maps.stride(0), maps.stride(1), maps.stride(2), maps.stride(3)};
}

// The Python page checks first and says more; these keep a direct call of the op from reading out of bounds.
inline void check_heatmaps(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped, at::IntArrayRef swap) {
  TORCH_CHECK_VALUE(heatmaps.dim() == 4 && heatmaps.size(1) > 0 && heatmaps.size(2) > 0 && heatmaps.size(3) > 0,
                    "heatmap_decode: shape ", heatmaps.sizes(), " is not (N, K, h, w)");
  TORCH_CHECK_VALUE(!flipped || flipped->sizes() == heatmaps.sizes(), "heatmap_decode: the shapes differ");
  TORCH_CHECK_VALUE(int64_t(swap.size()) == heatmaps.size(1), "heatmap_decode: swap must name each channel");
  for (int64_t k : swap)
    TORCH_CHECK_VALUE(k >= 0 && k < heatmaps.size(1), "heatmap_decode: swap names channel ", k, ", which is not there");
  TORCH_CHECK_TYPE(!flipped || flipped->scalar_type() == heatmaps.scalar_type(), "heatmap_decode: the dtypes differ");
  TORCH_CHECK_VALUE(!flipped || flipped->device() == heatmaps.device(), "heatmap_decode: the devices differ");
  constexpr int64_t kMost = int64_t(1) << 30;  // places and blocks are counted in 32 bits
  TORCH_CHECK_VALUE(heatmaps.size(2) * heatmaps.size(3) <= kMost && heatmaps.size(0) * heatmaps.size(1) <= kMost,
                    "heatmap_decode: shape ", heatmaps.sizes(), " is more than 2^30 heatmaps of 2^30 values");
}

// `run(p, batch)` computes a HeatmapDecode on the tensors' device.
template <class Run>
at::Tensor heatmap_decode(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped, at::IntArrayRef swap,
                          bool shift, bool quarter, Run run) {
  check_heatmaps(heatmaps, flipped, swap);
  HeatmapDecode p = {};
  p.dtype = dtype_of(heatmaps, "heatmap_decode");
  const at::Tensor out = at::empty({heatmaps.size(0), heatmaps.size(1), 3},
                                   heatmaps.options().dtype(p.dtype == Dtype::f64 ? at::kDouble : at::kFloat));
  if (out.numel() == 0) return out;
  p.maps = describe(heatmaps);
  if (flipped) p.flipped = describe(*flipped);
  p.swap = swap.data();
  p.out = out.mutable_data_ptr();
  p.channels = heatmaps.size(1), p.height = heatmaps.size(2), p.width = heatmaps.size(3);
  p.shift = shift, p.quarter = quarter;
  run(p, heatmaps.size(0));
  return out;
}

}  // namespace hrnet_fast
