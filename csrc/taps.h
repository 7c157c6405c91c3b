// Which source rows (or columns) an output row reads, and their weights, as torch.nn.functional.interpolate(size=...)
// defines them. Host and device. No torch header.
#pragma once

#include "dtype.h"

namespace hrnet_fast {

enum class Mode { nearest, bilinear };

// value = (1 - weight) * source[lo] + weight * source[hi]
template <class A>
struct Tap {
  int64_t lo, hi;
  A weight;
};

// floor(index * in / out) in float32 arithmetic, whatever the dtype: torch's own rule for mode="nearest".
template <class A>
HRNET_FAST_HD Tap<A> nearest_tap(int64_t index, int64_t in, int64_t out) {
  const int64_t source = int64_t(float(index) * (float(in) / float(out)));
  const int64_t clamped = source < in ? source : in - 1;
  return {clamped, clamped, A(0)};
}

template <class A>
HRNET_FAST_HD Tap<A> bilinear_tap(int64_t index, int64_t in, int64_t out, bool align_corners) {
  A source;
  if (align_corners) {
    source = out > 1 ? A(index) * (A(in - 1) / A(out - 1)) : A(0);
  } else {
    source = (A(in) / A(out)) * (A(index) + A(0.5)) - A(0.5);
    source = source < A(0) ? A(0) : source;
  }
  int64_t lo = int64_t(source);
  lo = lo < in ? lo : in - 1;
  A weight = source - A(lo);
  weight = weight < A(1) ? weight : A(1);
  return {lo, lo + 1 < in ? lo + 1 : lo, weight};
}

template <class A>
HRNET_FAST_HD Tap<A> resize_tap(Mode mode, bool align_corners, int64_t index, int64_t in, int64_t out) {
  if (in == out) return {index, index, A(0)};
  return mode == Mode::nearest ? nearest_tap<A>(index, in, out) : bilinear_tap<A>(index, in, out, align_corners);
}

}  // namespace hrnet_fast
