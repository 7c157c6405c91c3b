// One thread's share of an UpsampleArgmax: one label of each image. Also compiled for the host, so that the code which
// computes is tested without a GPU. No torch header.
#pragma once

#include <type_traits>

#include "cpu/upsample_argmax.h"

namespace hrnet_fast {

// What a pixel reads of one map: columns lo and hi of two rows, whose weights hold the map's own.
template <class T>
struct Corners {
  const T *above, *below;
  int64_t lo, hi;
  float above_weight, below_weight, hi_weight;
};

template <class T>
HRNET_FAST_HD Corners<T> corners_of(const UpsampleArgmax& p, int k, bool align_corners, int64_t n, int64_t y,
                                    int64_t x) {
  const Term& map = p.maps[k];
  const Tap<float> row = resize_tap<float>(Mode::bilinear, align_corners, y, map.height, p.height);
  const Tap<float> col = resize_tap<float>(Mode::bilinear, align_corners, x, map.width, p.width);
  const T* image = static_cast<const T*>(map.data) + n * map.stride_n;
  return {image + row.lo * map.stride_h,
          image + row.hi * map.stride_h,
          col.lo * map.stride_w,
          col.hi * map.stride_w,
          p.weights[k] * (1 - row.weight),
          p.weights[k] * row.weight,
          col.weight};
}

template <class T>
HRNET_FAST_HD float blend(const T* row, const Corners<T>& at) {
  return (1 - at.hi_weight) * load(row + at.lo) + at.hi_weight * load(row + at.hi);
}

// Calls run(std::integral_constant<int, kMaps>) with the least kMaps that is compiled and not below `count`.
template <class Run>
void with_room_for(int count, Run run) {
  if (count == 1) return run(std::integral_constant<int, 1>());
  if (count <= 4) return run(std::integral_constant<int, 4>());
  run(std::integral_constant<int, kMaxTerms>());
}

// kMaps: at least p.count; a constant, so that the corners of all maps stay in registers.
template <class T, int kMaps>
HRNET_FAST_HD uint8_t label_at(const UpsampleArgmax& p, bool align_corners, int64_t n, int64_t y, int64_t x) {
  Corners<T> corners[kMaps];
  for (int k = 0; k < kMaps; ++k) corners[k] = corners_of<T>(p, k < p.count ? k : 0, align_corners, n, y, x);
  float best = 0;
  int label = 0;
  for (int c = 0; c < int(p.channels); ++c) {
    float sum = 0;
    for (int k = 0; k < kMaps; ++k) {
      if (k >= p.count) continue;
      const int64_t skip = c * p.maps[k].stride_c;
      sum += corners[k].above_weight * blend(corners[k].above + skip, corners[k]);
      sum += corners[k].below_weight * blend(corners[k].below + skip, corners[k]);
    }
    const bool better = c == 0 || (!(sum <= best) && best == best);  // of equal sums the first stays; a NaN wins
    best = better ? sum : best, label = better ? c : label;
  }
  return uint8_t(label);
}

// Pixel `pixel` of images n, n + step, ...
template <class T, int kMaps>
HRNET_FAST_HD void upsample_argmax_thread(const UpsampleArgmax& p, bool align_corners, int64_t pixel, int64_t n,
                                          int64_t step) {
  const int width = int(p.width);
  const int64_t plane = p.height * p.width;
  if (pixel >= plane) return;
  for (; n < p.batch; n += step)
    p.labels[n * plane + pixel] = label_at<T, kMaps>(p, align_corners, n, int(pixel) / width, int(pixel) % width);
}

}  // namespace hrnet_fast
