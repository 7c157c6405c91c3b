// The taps of resample_argmax, from torch's tensors to Blends: the part that the devices' bindings share.
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
  const int64_t* place = places.const_data_ptr<int64_t>();
  const float* part = parts.const_data_ptr<float>();
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

}  // namespace hrnet_fast
