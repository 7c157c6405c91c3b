// What resample_argmax computes; the formula is in kernels/resample_argmax.py. No torch header.
#pragma once

#include "resample_axis.h"
#include "resize_sum.h"

namespace hrnet_fast {

struct ResampleMap {
  Term map;                 // [N, C, height, width], any strides
  ResampleAxis rows, cols;  // from the map, resized to their lengths, to the labels
};

struct ResampleArgmax {
  ResampleMap* maps;    // [count]
  Blend* blends;        // [count, height + width]: of each map one for each row of the labels, one for each column
  const float* shifts;  // [N]: taken from the values before their exponential; null if there is none
  uint8_t* labels;      // [N, height, width], dense
  int64_t count, batch, channels, height, width;
  Dtype dtype;  // of the maps: f32, bf16 or f16
  bool align_corners;
};

// A ResampleMap with the tables that the CPU looks into.
struct Resample {
  Term map;
  const Tap<float>*inner_rows, *inner_cols;  // [inner height], [inner width]: into the map
  const Blend *rows, *cols;                  // [height], [width] of the labels: into the inner size
};

// Computes label rows [begin, end), row = n * height + y, of all `maps`.
using ResampleArgmaxRows = void (*)(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end);

void resample_argmax_rows__portable(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end);
void resample_argmax_rows__avx2(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end);
void resample_argmax_rows__avx512(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end);

}  // namespace hrnet_fast
