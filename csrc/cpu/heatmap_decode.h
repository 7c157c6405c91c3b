// A description of heatmap_decode, and its bodies: one for each instruction set. No torch header.
#pragma once

#include <cstdint>

#include "dtype.h"

namespace hrnet_fast {

// Strides are in elements.
struct Heatmaps {
  const void* data;  // [N, K, h, w]; null if there are none
  int64_t stride_n, stride_k, stride_h, stride_w;
};

struct HeatmapDecode {
  Heatmaps maps, flipped;
  const int64_t* swap;  // [K]
  void* out;            // [N, K, 3], contiguous, in the type that sums of `dtype` are kept in
  int64_t channels, height, width;
  Dtype dtype;
  bool shift, quarter;
};

// Decodes maps [begin, end), map = n * channels + k; `scratch` has height * width elements of the type of `out`.
using HeatmapDecodeMaps = void (*)(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end);

void heatmap_decode_maps__portable(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end);
void heatmap_decode_maps__avx2(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end);
void heatmap_decode_maps__avx512(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end);

}  // namespace hrnet_fast
