// The rows of a ResizeSum, once for every instruction set: include after cpu/isa/vec_<isa>.h, in one file for each.
// A pixel sums at most four weighted source pixels a term; its channels are summed in registers and stored once.
#pragma once

#include "cpu/rows.h"

namespace hrnet_fast {
namespace {

template <class T>
struct Source {
  const T* data;  // [channels]
  int64_t stride;
  acc_t<T> weight;
};

template <class T>
struct Pixel {
  Source<T> sources[4 * kMaxTerms];
  int count = 0;

  void add(const T* data, int64_t stride, acc_t<T> weight) { sources[count++] = {data, stride, weight}; }
};

// target[i] = relu(sum_k weight_k * source_k[i]) for kVectors * kWidth channels
template <int kVectors, class T>
HRNET_FAST_ISA void sum_channels(T* target, const Pixel<T>& pixel, int64_t c, bool relu) {
  using V = Vec<acc_t<T>>;
  V sums[kVectors];
  for (int i = 0; i < kVectors; ++i) sums[i] = V::fill(0);
  for (int k = 0; k < pixel.count; ++k) {
    const V weight = V::fill(pixel.sources[k].weight);
    for (int i = 0; i < kVectors; ++i)
      sums[i] = sums[i].plus(weight, V::load(pixel.sources[k].data + c + i * V::kWidth));
  }
  for (int i = 0; i < kVectors; ++i) (relu ? sums[i].relu() : sums[i]).store(target + c + i * V::kWidth);
}

template <class T>
HRNET_FAST_ISA void sum_pixel(T* target, const Pixel<T>& pixel, int64_t channels, bool relu) {
  constexpr int64_t kWidth = Vec<acc_t<T>>::kWidth;
  int64_t c = 0;
  for (; c + 4 * kWidth <= channels; c += 4 * kWidth) sum_channels<4>(target, pixel, c, relu);
  for (; c + kWidth <= channels; c += kWidth) sum_channels<1>(target, pixel, c, relu);
  if (c < channels) sum_channels<1>(target, pixel, channels - kWidth, relu);  // the last vector overlaps the one before
}

// For channels that are not side by side, or fewer than a vector.
template <class T>
HRNET_FAST_ISA void sum_pixel_by_channel(T* target, const Pixel<T>& pixel, int64_t channels, bool relu) {
  using A = acc_t<T>;
  for (int64_t c = 0; c < channels; ++c) {
    A sum = 0;
    for (int k = 0; k < pixel.count; ++k) {
      const Source<T>& source = pixel.sources[k];
      sum += source.weight * load(source.data + c * source.stride);
    }
    store(target + c, relu && sum < A(0) ? A(0) : sum);
  }
}

// One term along one output row.
template <class T>
struct TermRow {
  const T *lo, *hi;  // [width, channels]: the two source rows, the same if one is enough
  acc_t<T> weight;
  const Tap<double>* cols;
  int64_t stride_c, stride_w;

  void add_to(Pixel<T>& pixel, int64_t x) const {
    using A = acc_t<T>;
    if (!cols && lo == hi) return pixel.add(lo + x * stride_w, stride_c, A(1));
    const Tap<double> col = cols ? cols[x] : Tap<double>{x, x, 0};
    const int64_t left = col.lo * stride_w, right = col.hi * stride_w;
    if (lo == hi && left == right) return pixel.add(lo + left, stride_c, A(1));
    const A right_weight = A(col.weight);
    pixel.add(lo + left, stride_c, (1 - weight) * (1 - right_weight));
    pixel.add(lo + right, stride_c, (1 - weight) * right_weight);
    pixel.add(hi + left, stride_c, weight * (1 - right_weight));
    pixel.add(hi + right, stride_c, weight * right_weight);
  }
};

template <class T>
HRNET_FAST_ISA void rows_of(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end) {
  TermRow<T> terms[kMaxTerms];
  bool dense = p.channels >= Vec<acc_t<T>>::kWidth;
  for (int k = 0; k < p.count; ++k) dense = dense && p.terms[k].stride_c == 1;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t n = r / p.height, y = r % p.height;
    for (int k = 0; k < p.count; ++k) {
      const Term& t = p.terms[k];
      const Tap<double> row = taps.rows[k] ? taps.rows[k][y] : Tap<double>{y, y, 0};
      const T* image = static_cast<const T*>(t.data) + n * t.stride_n;
      const T* lo = image + row.lo * t.stride_h;
      const T* hi = image + row.hi * t.stride_h;
      terms[k] = {lo, hi, acc_t<T>(row.weight), taps.cols[k], t.stride_c, t.stride_w};
    }
    T* target = static_cast<T*>(p.out) + n * p.out_stride_n + y * p.out_stride_h;
    for (int64_t x = 0; x < p.width; ++x, target += p.out_stride_w) {
      Pixel<T> pixel;
      for (int k = 0; k < p.count; ++k) terms[k].add_to(pixel, x);
      dense ? sum_pixel(target, pixel, p.channels, p.relu) : sum_pixel_by_channel(target, pixel, p.channels, p.relu);
    }
  }
}

HRNET_FAST_ISA void resize_sum_rows_of_any(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end) {
  switch (p.dtype) {
    case Dtype::f32: return rows_of<float>(p, taps, begin, end);
    case Dtype::f64: return rows_of<double>(p, taps, begin, end);
    case Dtype::bf16: return rows_of<bf16_t>(p, taps, begin, end);
    case Dtype::f16: return rows_of<f16_t>(p, taps, begin, end);
  }
}

}  // namespace
}  // namespace hrnet_fast
