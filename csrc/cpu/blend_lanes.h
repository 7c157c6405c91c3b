// Weighted sums of rows, across columns and down rows, and the exponential: include after cpu/isa/vec_<isa>.h.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/lanes.h"
#include "cpu/resample_argmax.h"

namespace hrnet_fast {
namespace {

HRNET_FAST_ISA Floats lanes_at(const float* values) { return *reinterpret_cast<const Floats*>(values); }

HRNET_FAST_ISA Floats multiply_add(const Floats& sum, const Floats& a, const Floats& b) {
  return Vec<float>{sum}.plus({a}, {b}).v;
}

// e to the power of each lane, to two units in the last place; subnormal, 0 and infinite where float32 is.
HRNET_FAST_ISA Floats exponential(Floats x) {
  const Floats lowest = Floats{} - 105.0f, highest = Floats{} + 90.0f, round = Floats{} + 0x1.8p23f;
  x = x < lowest ? lowest : x;
  x = x > highest ? highest : x;
  const Floats shifted = multiply_add(round, x, Floats{} + 1.44269504f);  // its last bits are round(x / ln 2)
  const Floats turns = shifted - round;
  Floats rest = multiply_add(x, turns, Floats{} - 0x1.62e4p-1f);  // ln 2 in two parts, of which the first times
  rest = multiply_add(rest, turns, Floats{} - 1.42860677e-6f);    // a number of turns is exact
  Floats sum = Floats{} + 1.0f / 5040;  // Taylor's series: |rest| < ln 2 / 2, and rest^8 / 8! is below 2^-27
  for (const float term : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = multiply_add(Floats{} + term, sum, rest);
  const Ints power = (Ints)shifted - (Ints)round, half = power >> 1;  // in two steps: 2^power may be subnormal
  return sum * (Floats)((half + 127) << 23) * (Floats)((power - half + 127) << 23);
}

// How the columns of a row are made of those of another: `kLanes` at a time, out of the two vectors at first[v].
struct Across {
  int taps;
  std::vector<int64_t> first;  // [vectors]
  std::vector<char> near;      // [vectors]: two vectors hold all that is read
  std::vector<int32_t> index;  // [vectors, taps, kLanes], from first[v]
  std::vector<float> weight;   // [vectors, taps, kLanes]
};

// `blend(i)` is what column i is made of, 0 <= i < width; `origin` is the source's first column.
template <class Blends>
HRNET_FAST_ISA void plan_across(Across& plan, int64_t width, int64_t origin, const Blends& blend) {
  const int64_t vectors = (width + kLanes - 1) / kLanes;
  plan.taps = 1;
  for (int64_t i = 0; i < width; ++i) plan.taps = std::max(plan.taps, blend(i).count);
  plan.first.assign(vectors, 0), plan.near.assign(vectors, 1);
  plan.index.assign(vectors * plan.taps * kLanes, 0), plan.weight.assign(vectors * plan.taps * kLanes, 0.0f);
  for (int64_t v = 0; v < vectors; ++v) {
    int64_t low = INT64_MAX, high = 0;
    const int64_t end = std::min<int64_t>(width, (v + 1) * kLanes);
    for (int64_t i = v * kLanes; i < end; ++i) {
      const Blend one = blend(i);
      for (int t = 0; t < one.count; ++t)
        low = std::min<int64_t>(low, one.index[t]), high = std::max<int64_t>(high, one.index[t]);
    }
    if (low == INT64_MAX) continue;
    plan.first[v] = low - origin, plan.near[v] = high - low < 2 * kLanes;
    for (int64_t i = v * kLanes; i < end; ++i) {
      const Blend one = blend(i);
      for (int t = 0; t < one.count; ++t) {
        const int64_t at = (v * plan.taps + t) * kLanes + i - v * kLanes;
        plan.index[at] = int32_t(one.index[t] - low), plan.weight[at] = one.weight[t];
      }
    }
  }
}

// Lane i is that of index[i] in left and right side by side.
HRNET_FAST_ISA Floats picked_of(const Floats& left, const Floats& right, const Ints& index) {
#ifdef __clang__  // lacks GCC's shuffle
  Floats picked;
  for (int lane = 0; lane < kLanes; ++lane)
    picked[lane] = index[lane] < kLanes ? left[index[lane]] : right[index[lane] - kLanes];
  return picked;
#else
  return __builtin_shuffle(left, right, index);
#endif
}

// target (+)= the columns of each of `channels` rows; two vectors past a source row's columns may be read.
template <int kTaps, bool kAdd>
HRNET_FAST_ISA void across_taps(float* target, int64_t target_stride, const float* source, int64_t source_stride,
                                int64_t channels, const Across& plan) {
  for (int64_t v = 0; v < int64_t(plan.first.size()); ++v) {
    const int32_t* places = plan.index.data() + v * kTaps * kLanes;
    Ints index[kTaps];
    Floats weight[kTaps];
    for (int t = 0; t < kTaps; ++t) {
      index[t] = *reinterpret_cast<const Ints*>(places + t * kLanes);
      weight[t] = lanes_at(plan.weight.data() + (v * kTaps + t) * kLanes);
    }
    const float* from = source + plan.first[v];
    float* to = target + v * kLanes;
    for (int64_t c = 0; c < channels; ++c, from += source_stride, to += target_stride) {
      Floats sum = kAdd ? lanes_at(to) : Floats{};
      if (plan.near[v]) {
        const Floats left = lanes_at(from), right = lanes_at(from + kLanes);
        for (int t = 0; t < kTaps; ++t) sum = multiply_add(sum, picked_of(left, right, index[t]), weight[t]);
      } else {
        for (int t = 0; t < kTaps; ++t) {
          Floats picked;
          for (int lane = 0; lane < kLanes; ++lane) picked[lane] = from[places[t * kLanes + lane]];
          sum = multiply_add(sum, picked, weight[t]);
        }
      }
      *reinterpret_cast<Floats*>(to) = sum;
    }
  }
}

template <bool kAdd>
HRNET_FAST_ISA void across(float* target, int64_t target_stride, const float* source, int64_t source_stride,
                           int64_t channels, const Across& plan) {
  switch (plan.taps) {
    case 1: return across_taps<1, kAdd>(target, target_stride, source, source_stride, channels, plan);
    case 2: return across_taps<2, kAdd>(target, target_stride, source, source_stride, channels, plan);
    case 3: return across_taps<3, kAdd>(target, target_stride, source, source_stride, channels, plan);
    default: return across_taps<4, kAdd>(target, target_stride, source, source_stride, channels, plan);
  }
}

// target = sum_t weights[t] * rows[t], of `size` values, whole vectors of them
template <int kCount>
HRNET_FAST_ISA void down_rows(float* target, const float* const* rows, const float* weights, int64_t size) {
  for (int64_t i = 0; i < size; i += kLanes) {
    Floats sum = lanes_at(rows[0] + i) * weights[0];
    for (int t = 1; t < kCount; ++t) sum = multiply_add(sum, lanes_at(rows[t] + i), Floats{} + weights[t]);
    *reinterpret_cast<Floats*>(target + i) = sum;
  }
}

HRNET_FAST_ISA void down(float* target, const float* const* rows, const float* weights, int count, int64_t size) {
  switch (count) {
    case 1: return down_rows<1>(target, rows, weights, size);
    case 2: return down_rows<2>(target, rows, weights, size);
    case 3: return down_rows<3>(target, rows, weights, size);
    default: return down_rows<4>(target, rows, weights, size);
  }
}

}  // namespace
}  // namespace hrnet_fast
