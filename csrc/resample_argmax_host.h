// From torch's tensors to a ResampleArgmax: the part that the devices' bindings share.
#pragma once

#include <vector>

#include "cpu/resample_argmax.h"
#include "host.h"

namespace hrnet_fast {

// The Python page checks first and says more; these keep a direct call of the op from reading out of bounds.
inline ResampleAxis axis_of(at::IntArrayRef n) {
  constexpr int64_t kMost = int64_t(1) << 30;  // places are counted in 32 bits
  for (int64_t value : n)
    TORCH_CHECK_VALUE(value >= 0 && value <= kMost, "resample_argmax: an axis of ", n, " is not of 0 to 2^30 places");
  const auto to = [&](int i) { return int32_t(n[i]); };
  const ResampleAxis a = {to(0), to(1), to(2), to(3), to(4), to(5), to(6), to(7)};
  TORCH_CHECK_VALUE(a.length > 0 && a.step > 0 && a.view > 0 && a.base > 0 && a.valid > 0 && a.target > 0,
                    "resample_argmax: an axis of ", n, " has no places");
  TORCH_CHECK_VALUE(a.valid <= a.base, "resample_argmax: ", a.valid, " of ", a.base, " places cannot be kept");
  TORCH_CHECK_VALUE(a.start <= a.last && (a.start % a.step == 0 || a.start == a.last),
                    "resample_argmax: no window starts at ", a.start, ", ", a.step, " apart and the last at ", a.last);
  return a;
}

// `run(p)` computes a ResampleArgmax, of which it adds the blends and the shifts; its maps are described on the CPU.
template <class Run>
at::Tensor resample_argmax(at::TensorList maps, at::IntArrayRef rows, at::IntArrayRef cols, bool align_corners,
                           Run run) {
  constexpr size_t kNumbers = sizeof(ResampleAxis) / sizeof(int32_t);
  const size_t count = maps.size();
  TORCH_CHECK_VALUE(count > 0 && rows.size() == kNumbers * count && cols.size() == kNumbers * count,
                    "resample_argmax: each map needs two axes of ", kNumbers, " numbers");
  ResampleArgmax p = {};
  p.dtype = dtype_of(maps[0], "resample_argmax");
  TORCH_CHECK_TYPE(p.dtype != Dtype::f64, "resample_argmax: float64 is not taken");
  std::vector<ResampleMap> parts;
  for (size_t k = 0; k < count; ++k) {
    const at::Tensor& t = maps[k];
    const ResampleAxis down = axis_of(rows.slice(kNumbers * k, kNumbers));
    const ResampleAxis across = axis_of(cols.slice(kNumbers * k, kNumbers));
    check_terms("resample_argmax", {maps[0], t}, {down.length, across.length}, "bilinear");
    TORCH_CHECK_VALUE(t.size(1) == maps[0].size(1), "resample_argmax: the maps differ in classes");
    const Term term = {t.const_data_ptr(), t.size(2), t.size(3), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
    parts.push_back({term, down, across});
    TORCH_CHECK_VALUE(down.target == parts[0].rows.target && across.target == parts[0].cols.target,
                      "resample_argmax: the maps' labels differ in size");
  }
  p.maps = parts.data(), p.count = int64_t(count), p.align_corners = align_corners;
  p.batch = maps[0].size(0), p.channels = maps[0].size(1);
  p.height = parts[0].rows.target, p.width = parts[0].cols.target;
  TORCH_CHECK_VALUE(p.channels <= 256, "resample_argmax: ", p.channels, " classes; labels have 8 bits");
  constexpr int64_t kMost = int64_t(1) << 30;  // labels of an image are counted in 32 bits
  TORCH_CHECK_VALUE(p.height <= kMost / p.width, "resample_argmax: ", p.height, " x ", p.width,
                    " labels are more than 2^30");
  const at::Tensor labels = at::empty({p.batch, p.height, p.width}, maps[0].options().dtype(at::kByte));
  if (labels.numel() == 0) return labels;
  p.labels = labels.mutable_data_ptr<uint8_t>();
  run(p);
  return labels;
}

}  // namespace hrnet_fast
