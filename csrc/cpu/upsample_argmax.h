// What upsample_argmax asks of the CPU: labels = argmax_c sum_k weight_k * resize(map_k)[c]. No torch header.
#pragma once

#include "resize_sum.h"

namespace hrnet_fast {

struct UpsampleArgmax {
  Term maps[kMaxTerms];  // [N, C, height, width], any strides
  float weights[kMaxTerms];
  int count;
  uint8_t* labels;  // [N, height, width], dense
  int64_t batch, channels, height, width;
  Dtype dtype;  // of the maps: f32, bf16 or f16
};

// Per map, one tap for each output row and each output column.
struct ArgmaxTaps {
  const Tap<float>* rows[kMaxTerms];
  const Tap<float>* cols[kMaxTerms];
};

// Computes label rows [begin, end), row = n * height + y.
using UpsampleArgmaxRows = void (*)(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end);

void upsample_argmax_rows__portable(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end);
void upsample_argmax_rows__avx2(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end);
void upsample_argmax_rows__avx512(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end);

}  // namespace hrnet_fast
