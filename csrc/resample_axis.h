// Of which places of a window each label is made along one axis, as kernels/resample_argmax.py defines it. Host and
// device. No torch header.
#pragma once

#include "taps.h"

namespace hrnet_fast {

constexpr int kMaxTaps = 4;

// value = sum_t weight[t] * source[index[t]], over `count` taps of different indices and weights other than 0
struct Blend {
  int32_t index[kMaxTaps];
  float weight[kMaxTaps];
  int count;
};

// An Axis of kernels/resample_argmax.py.
struct ResampleAxis {
  int32_t length, start, step, last, view, base, valid, target;
};

// How many windows cover a place that one of them covers: of those at 0, step, 2 step, ... before `last`, and that one.
HRNET_FAST_HD int windows_over(const ResampleAxis& a, int place) {
  const int before = (a.last + a.step - 1) / a.step, reached = place / a.step + 1;
  const int first = place < a.length ? 0 : (place - a.length) / a.step + 1, end = reached < before ? reached : before;
  return end - first + (place >= a.last);
}

// blend += the part of the view's place that is the window's.
HRNET_FAST_HD void add_place(Blend& blend, const ResampleAxis& a, int place, float weight, float outer_weight) {
  const int index = place - a.start;
  if (index < 0 || index >= a.length || weight * outer_weight == 0) return;
  int at = 0;
  while (at < blend.count && blend.index[at] != index) ++at;
  if (at == blend.count) blend.index[at] = index, blend.weight[at] = 0, ++blend.count;
  blend.weight[at] += weight / float(windows_over(a, place)) * outer_weight;
}

HRNET_FAST_HD void blend_of(Blend& blend, const ResampleAxis& a, int64_t label, bool align_corners) {
  blend.count = 0;
  const Tap<float> outer = resize_tap<float>(Mode::bilinear, align_corners, label, a.valid, a.target);
  for (int side = 0; side < 2; ++side) {
    const float weight = side ? outer.weight : 1 - outer.weight;
    const Tap<float> tap = resize_tap<float>(Mode::bilinear, align_corners, side ? outer.hi : outer.lo, a.view, a.base);
    add_place(blend, a, int(tap.lo), 1 - tap.weight, weight);
    add_place(blend, a, int(tap.hi), tap.weight, weight);
  }
}

}  // namespace hrnet_fast
