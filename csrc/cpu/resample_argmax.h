// What resample_argmax asks of the CPU; the formula is in kernels/resample_argmax.py. No torch header.
#pragma once

#include "resize_sum.h"

namespace hrnet_fast {

constexpr int kMaxTaps = 4;

// value = sum_t weight[t] * source[index[t]], over `count` taps of different indices and weights other than 0
struct Blend {
  int32_t index[kMaxTaps];
  float weight[kMaxTaps];
  int count;
};

struct Resample {
  Term map;                                   // [N, C, height, width], any strides
  const Tap<float>*inner_rows, *inner_cols;  // [inner height], [inner width]: into the map
  const Blend *rows, *cols;                   // [height], [width] of the labels: into the inner size
};

struct ResampleArgmax {
  const Resample* maps;  // [count]
  int64_t count;
  const float* shifts;  // [N]: taken from the values before their exponential
  uint8_t* labels;      // [N, height, width], dense
  int64_t batch, channels, height, width;
  Dtype dtype;  // of the maps: f32, bf16 or f16
  bool exp;
};

// Computes label rows [begin, end), row = n * height + y.
using ResampleArgmaxRows = void (*)(const ResampleArgmax& p, int64_t begin, int64_t end);

void resample_argmax_rows__portable(const ResampleArgmax& p, int64_t begin, int64_t end);
void resample_argmax_rows__avx2(const ResampleArgmax& p, int64_t begin, int64_t end);
void resample_argmax_rows__avx512(const ResampleArgmax& p, int64_t begin, int64_t end);

}  // namespace hrnet_fast
