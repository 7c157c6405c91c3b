// From torch's tensors to an UpsampleArgmax: the part that the devices' bindings share.
#pragma once

#include "cpu/upsample_argmax.h"
#include "host.h"

namespace hrnet_fast {

// The Python page checks first and says more; these keep a direct call of the op from reading out of bounds.
inline void check_logits(at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size) {
  check_terms("upsample_argmax", maps, size, "bilinear");
  TORCH_CHECK_VALUE(weights.size() == maps.size(), "upsample_argmax: ", maps.size(), " maps and ", weights.size(),
                    " weights");
  TORCH_CHECK_VALUE(maps[0].size(1) <= 256, "upsample_argmax: ", maps[0].size(1), " classes; labels have 8 bits");
  TORCH_CHECK_TYPE(dtype_of(maps[0], "upsample_argmax") != Dtype::f64, "upsample_argmax: float64 is not taken");
  for (const at::Tensor& t : maps)
    TORCH_CHECK_VALUE(t.size(1) == maps[0].size(1), "upsample_argmax: the maps differ in classes");
  constexpr int64_t kMost = int64_t(1) << 30;  // labels of an image are counted in 32 bits
  TORCH_CHECK_VALUE(size[0] <= kMost / size[1], "upsample_argmax: size ", size, " has more than 2^30 pixels");
}

// `run(p)` computes an UpsampleArgmax on the maps' device.
template <class Run>
at::Tensor upsample_argmax(at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size, Run run) {
  check_logits(maps, weights, size);
  UpsampleArgmax p = {};
  p.dtype = dtype_of(maps[0], "upsample_argmax");
  for (const at::Tensor& t : maps) {
    p.weights[p.count] = float(weights[p.count]);
    p.maps[p.count++] = {t.const_data_ptr(), t.size(2), t.size(3), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
  }
  const at::Tensor labels = at::empty({maps[0].size(0), size[0], size[1]}, maps[0].options().dtype(at::kByte));
  if (labels.numel() == 0) return labels;
  p.labels = labels.mutable_data_ptr<uint8_t>();
  p.batch = maps[0].size(0), p.channels = maps[0].size(1), p.height = size[0], p.width = size[1];
  run(p);
  return labels;
}

}  // namespace hrnet_fast
