// The rows of a ResizeSum, written once for every instruction set. Include after cpu/isa/vec_<isa>.h, in one file per instruction set.
// A strip of pixels is summed in a buffer that stays in the L1 cache, term by term, then stored once.
#pragma once

#include "cpu/rows.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kStrip = 4096;  // accumulators: 16 KiB of float32

// sum (+)= source, n dense values
template <class T, class A>
HRNET_FAST_ISA void add_span(A* sum, const T* source, int64_t n, bool first) {
  using V = Vec<A>;
  int64_t i = 0;
  if (first) {
    for (; i + V::kWidth <= n; i += V::kWidth) V::load(source + i).store(sum + i);
    for (; i < n; ++i) sum[i] = load(source + i);
    return;
  }
  for (; i + V::kWidth <= n; i += V::kWidth) (V::load(sum + i) + V::load(source + i)).store(sum + i);
  for (; i < n; ++i) sum[i] += load(source + i);
}

// sum (+)= w00 * s00 + w01 * s01 + w10 * s10 + w11 * s11, n dense values each
template <class T, class A>
HRNET_FAST_ISA void add_blend(A* sum, const T* const (&s)[4], const A (&w)[4], int64_t n, bool first) {
  using V = Vec<A>;
  const V w0 = V::fill(w[0]), w1 = V::fill(w[1]), w2 = V::fill(w[2]), w3 = V::fill(w[3]);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    const V upper = V::load(s[0] + i) * w0 + V::load(s[1] + i) * w1;
    const V value = upper + (V::load(s[2] + i) * w2 + V::load(s[3] + i) * w3);
    (first ? value : V::load(sum + i) + value).store(sum + i);
  }
  for (; i < n; ++i) {
    const A value = (load(s[0] + i) * w[0] + load(s[1] + i) * w[1]) + (load(s[2] + i) * w[2] + load(s[3] + i) * w[3]);
    sum[i] = first ? value : sum[i] + value;
  }
}

template <class T, class A>
HRNET_FAST_ISA void store_span(T* target, A* sum, int64_t n, bool relu) {
  using V = Vec<A>;
  int64_t i = 0;
  if (relu) {
    for (; i + V::kWidth <= n; i += V::kWidth) V::load(sum + i).relu().store(target + i);
    for (; i < n; ++i) store(target + i, sum[i] < A(0) ? A(0) : sum[i]);
    return;
  }
  for (; i + V::kWidth <= n; i += V::kWidth) V::load(sum + i).store(target + i);
  for (; i < n; ++i) store(target + i, sum[i]);
}

// A strip: pixels [x, x + pixels) of one row, channels [c, c + channels).
struct Strip {
  int64_t n, y, x, pixels, c, channels;
};

// sum: [pixels, channels]
template <class T, class A>
HRNET_FAST_ISA void add_term(A* sum, const Term& t, const Tap<double>* rows, const Tap<double>* cols, const Strip& s, bool first) {
  const Tap<double> row = rows ? rows[s.y] : Tap<double>{s.y, s.y, 0};
  const T* base = static_cast<const T*>(t.data) + s.n * t.stride_n + s.c * t.stride_c;
  const T* lo = base + row.lo * t.stride_h;
  const T* hi = base + row.hi * t.stride_h;
  const bool dense = t.stride_c == 1;
  if (dense && !cols && row.lo == row.hi && t.stride_w == s.channels) {
    add_span(sum, lo + s.x * t.stride_w, s.pixels * s.channels, first);
    return;
  }
  if (dense) {
    for (int64_t i = 0; i < s.pixels; ++i) {
      const int64_t x = s.x + i;
      const Tap<double> col = cols ? cols[x] : Tap<double>{x, x, 0};
      if (row.lo == row.hi && col.lo == col.hi) {
        add_span(sum + i * s.channels, lo + col.lo * t.stride_w, s.channels, first);
        continue;
      }
      const A down = A(row.weight), right = A(col.weight);
      const A w[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right};
      const int64_t left = col.lo * t.stride_w, next = col.hi * t.stride_w;
      const T* const sources[4] = {lo + left, lo + next, hi + left, hi + next};
      add_blend(sum + i * s.channels, sources, w, s.channels, first);
    }
    return;
  }
  for (int64_t c = 0; c < s.channels; ++c) {  // the channels are apart: walk along the row, where neighbours are near
    const T* above = lo + c * t.stride_c;
    const T* below = hi + c * t.stride_c;
    for (int64_t i = 0; i < s.pixels; ++i) {
      const int64_t x = s.x + i;
      const Tap<double> col = cols ? cols[x] : Tap<double>{x, x, 0};
      const int64_t left = col.lo * t.stride_w, next = col.hi * t.stride_w;
      A value = load(above + left);
      if (row.lo != row.hi || col.lo != col.hi) {
        const A down = A(row.weight), right = A(col.weight);
        const A upper = (1 - right) * value + right * load(above + next);
        value = (1 - down) * upper + down * ((1 - right) * load(below + left) + right * load(below + next));
      }
      A& target = sum[i * s.channels + c];
      target = first ? value : target + value;
    }
  }
}

template <class T>
HRNET_FAST_ISA void rows_of(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end) {
  using A = acc_t<T>;
  alignas(64) A sum[kStrip];
  const int64_t channels = p.channels < kStrip ? p.channels : kStrip, pixels = kStrip / channels;
  for (int64_t r = begin; r < end; ++r) {
    Strip s = {r / p.height, r % p.height, 0, 0, 0, 0};
    T* row = static_cast<T*>(p.out) + s.n * p.out_stride_n + s.y * p.out_stride_h;
    for (s.c = 0; s.c < p.channels; s.c += channels) {
      s.channels = p.channels - s.c < channels ? p.channels - s.c : channels;
      for (s.x = 0; s.x < p.width; s.x += pixels) {
        s.pixels = p.width - s.x < pixels ? p.width - s.x : pixels;
        for (int k = 0; k < p.count; ++k) add_term<T>(sum, p.terms[k], taps.rows[k], taps.cols[k], s, k == 0);
        T* target = row + s.x * p.out_stride_w + s.c;
        if (p.out_stride_w == s.channels) {
          store_span(target, sum, s.pixels * s.channels, p.relu);
          continue;
        }
        for (int64_t i = 0; i < s.pixels; ++i) {
          store_span(target + i * p.out_stride_w, sum + i * s.channels, s.channels, p.relu);
        }
      }
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
