// One thread's share of a ResampleArgmax: one blend, and then one label of each image. Also compiled for the host, so
// that the code which computes is tested without a GPU. No torch header.
#pragma once

#include <math.h>

#include <algorithm>

#include "cpu/resample_argmax.h"

namespace hrnet_fast {

constexpr int kMapsALaunch = 32;

// The maps [first, first + count) of one launch: handed over as an argument of the kernel, so that nothing is copied to
// the device beforehand.
struct ResampleMaps {
  int32_t first, count;
  ResampleMap of[kMapsALaunch];
};
static_assert(sizeof(ResampleArgmax) + sizeof(ResampleMaps) <= 4096, "a kernel's arguments have 4 KB");

// Calls launch(maps) until all those of `p`, which are described on the host, had their turn.
template <class Launch>
void for_each_maps(const ResampleArgmax& p, const ResampleMap* described, Launch launch) {
  for (int64_t first = 0; first < p.count; first += kMapsALaunch) {
    ResampleMaps maps = {int32_t(first), int32_t(std::min<int64_t>(kMapsALaunch, p.count - first)), {}};
    std::copy_n(described + first, maps.count, maps.of);
    launch(maps);
  }
}

// Blend `line` of map k: that of a row of the labels, or, after all rows, of a column; with the first, the map itself.
HRNET_FAST_HD void resample_blends_thread(const ResampleArgmax& p, const ResampleMap& map, int64_t k, int64_t line) {
  const int64_t lines = p.height + p.width;
  if (line >= lines) return;
  if (line == 0) p.maps[k] = map;
  const bool is_row = line < p.height;
  blend_of(p.blends[k * lines + line], is_row ? map.rows : map.cols, is_row ? line : line - p.height, p.align_corners);
}

// Threads of a block, each of which keeps the sums of all classes in shared memory, 48 KB of which every GPU gives.
HRNET_FAST_HD int resample_threads(int64_t channels) { return channels <= 96 ? 128 : channels <= 192 ? 64 : 32; }

// sums[c * stride] += weight * value of class c at the taps, exponentiated if there are shifts
template <class T>
HRNET_FAST_HD void add_inner(float* sums, int stride, const ResampleArgmax& p, const Term& map, int64_t n,
                             const Tap<float>& row, const Tap<float>& col, float weight) {
  const T* above = static_cast<const T*>(map.data) + n * map.stride_n + row.lo * map.stride_h;
  const T* below = above + (row.hi - row.lo) * map.stride_h;
  const int64_t lo = col.lo * map.stride_w, hi = col.hi * map.stride_w;
  const float shift = p.shifts == nullptr ? 0 : p.shifts[n];
  for (int c = 0; c < int(p.channels); ++c, above += map.stride_c, below += map.stride_c) {
    const float first = (1 - col.weight) * load(above + lo) + col.weight * load(above + hi);
    const float second = (1 - col.weight) * load(below + lo) + col.weight * load(below + hi);
    const float value = (1 - row.weight) * first + row.weight * second;
    sums[c * stride] += weight * (p.shifts == nullptr ? value : expf(value - shift));
  }
}

template <class T>
HRNET_FAST_HD void add_map(float* sums, int stride, const ResampleArgmax& p, int64_t k, int64_t n, int y, int x) {
  const ResampleMap& map = p.maps[k];
  const Blend* blends = p.blends + k * (p.height + p.width);
  const Blend &down = blends[y], &across = blends[p.height + x];
  for (int i = 0; i < down.count; ++i) {
    const Tap<float> row =
        resize_tap<float>(Mode::bilinear, p.align_corners, down.index[i], map.map.height, map.rows.length);
    for (int j = 0; j < across.count; ++j) {
      const Tap<float> col =
          resize_tap<float>(Mode::bilinear, p.align_corners, across.index[j], map.map.width, map.cols.length);
      add_inner<T>(sums, stride, p, map.map, n, row, col, down.weight[i] * across.weight[j]);
    }
  }
}

// Of equal sums the first class is taken.
HRNET_FAST_HD uint8_t largest_of(const float* sums, int stride, int64_t channels) {
  float best = sums[0];
  int label = 0;
  for (int c = 1; c < int(channels); ++c) {
    if (sums[c * stride] > best) best = sums[c * stride], label = c;
  }
  return uint8_t(label);
}

// Pixel `pixel` of images n, n + step, ...; sums[0], sums[stride], ... are the thread's own.
template <class T>
HRNET_FAST_HD void resample_argmax_thread(const ResampleArgmax& p, float* sums, int stride, int64_t pixel, int64_t n,
                                          int64_t step) {
  const int width = int(p.width);
  const int64_t plane = p.height * p.width;
  if (pixel >= plane) return;
  for (; n < p.batch; n += step) {
    for (int c = 0; c < int(p.channels); ++c) sums[c * stride] = 0;
    for (int64_t k = 0; k < p.count; ++k) add_map<T>(sums, stride, p, k, n, int(pixel) / width, int(pixel) % width);
    p.labels[n * plane + pixel] = largest_of(sums, stride, p.channels);
  }
}

}  // namespace hrnet_fast
