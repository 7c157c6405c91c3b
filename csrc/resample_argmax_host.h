// From torch's tensors to a ResampleArgmax: the part that the devices' bindings share.
#pragma once

#include <vector>

#include "cpu/resample_argmax.h"
#include "host.h"

namespace hrnet_fast {

// Lines of `index` and `weight`, [size, taps] each, as Blends: taps of one index together, those of weight 0 left out.
inline void append_blends(std::vector<Blend>& blends, const at::Tensor& index, const at::Tensor& weight,
                          int64_t inner) {
  TORCH_CHECK_VALUE(index.dim() == 2 && index.size(1) <= kMaxTaps && index.sizes() == weight.sizes(),
                    "resample_argmax: taps of shapes ", index.sizes(), " and ", weight.sizes(),
                    "; (size, 1 to 4) is needed");
  TORCH_CHECK_TYPE(index.scalar_type() == at::kLong && weight.scalar_type() == at::kFloat,
                   "resample_argmax: taps need int64 indices and float32 weights");
  const at::Tensor places = index.cpu().contiguous(), parts = weight.cpu().contiguous();
  const int64_t* place = values_of<int64_t>(places);
  const float* part = values_of<float>(parts);
  for (int64_t line = 0; line < index.size(0); ++line) {
    Blend& blend = blends.emplace_back();
    for (int64_t t = 0; t < index.size(1); ++t, ++place, ++part) {
      if (*part == 0) continue;
      TORCH_CHECK_VALUE(*place >= 0 && *place < inner, "resample_argmax: a tap reads place ", *place, " of ", inner);
      int at = 0;
      while (at < blend.count && blend.index[at] != *place) ++at;
      if (at == blend.count) blend.index[blend.count++] = int32_t(*place);
      blend.weight[at] += *part;
    }
  }
}

// `run(p)` computes a ResampleArgmax, of which it adds the shifts, on the maps' device; its tables are on the CPU.
template <class Run>
at::Tensor resample_argmax(at::TensorList maps, at::IntArrayRef inner, at::TensorList rows, at::TensorList row_weights,
                           at::TensorList cols, at::TensorList col_weights, bool align_corners, Run run) {
  const size_t count = maps.size();
  TORCH_CHECK_VALUE(count > 0 && inner.size() == 2 * count && rows.size() == count && row_weights.size() == count &&
                        cols.size() == count && col_weights.size() == count,
                    "resample_argmax: each map needs an inner size and its taps");
  ResampleArgmax p = {};
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
  p.maps = parts.data(), p.blends = blends.data(), p.count = int64_t(count), p.align_corners = align_corners;
  p.batch = maps[0].size(0), p.channels = maps[0].size(1), p.height = rows[0].size(0), p.width = cols[0].size(0);
  TORCH_CHECK_VALUE(p.channels <= 256, "resample_argmax: ", p.channels, " classes; labels have 8 bits");
  const at::Tensor labels = at::empty({p.batch, p.height, p.width}, maps[0].options().dtype(at::kByte));
  if (labels.numel() == 0) return labels;
  p.labels = labels.mutable_data_ptr<uint8_t>();
  run(p);
  return labels;
}

}  // namespace hrnet_fast
