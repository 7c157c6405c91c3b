// One block's share of a HeatmapDecode: each thread's values, one step of the tree that joins them, and the point. Also
// compiled for the host, so that the code which computes is tested without a GPU. No torch header.
#pragma once

#include <algorithm>

#include "cpu/heatmap_decode.h"

namespace hrnet_fast {

constexpr int kDecodeThreads = 256;  // of a block, which decodes one heatmap; a power of two
constexpr int kChannelsALaunch = 256;

// The channels [first, first + count) of one launch, and those of the mirror image that they are averaged with: handed
// over as an argument of the kernel, so that nothing is copied to the device beforehand.
struct MirrorChannels {
  int32_t first, count;
  int32_t of[kChannelsALaunch];
};

// Calls launch(channels) until all channels of `p` had their turn.
template <class Launch>
void for_each_channels(const HeatmapDecode& p, Launch launch) {
  for (int64_t first = 0; first < p.channels; first += kChannelsALaunch) {
    MirrorChannels channels = {int32_t(first), int32_t(std::min<int64_t>(kChannelsALaunch, p.channels - first)), {}};
    for (int k = 0; k < channels.count; ++k) channels.of[k] = int32_t(p.swap[first + k]);
    launch(channels);
  }
}

// A heatmap, and the one of the mirror image; null if there is none.
template <class T>
struct HeatmapPair {
  const T *map, *mirror;
};

template <class T>
HRNET_FAST_HD HeatmapPair<T> pair_of(const HeatmapDecode& p, int64_t n, int64_t k, int64_t mirror_k) {
  const T *map = static_cast<const T*>(p.maps.data), *mirror = static_cast<const T*>(p.flipped.data);
  return {map + n * p.maps.stride_n + k * p.maps.stride_k,
          mirror == nullptr ? nullptr : mirror + n * p.flipped.stride_n + mirror_k * p.flipped.stride_k};
}

template <class T>
HRNET_FAST_HD acc_t<T> mean_at(const HeatmapDecode& p, const HeatmapPair<T>& pair, int64_t y, int64_t x) {
  const acc_t<T> value = load(pair.map + y * p.maps.stride_h + x * p.maps.stride_w);
  if (pair.mirror == nullptr) return value;
  const int64_t mirrored = p.width - 1 - x + (p.shift && x > 0);
  return (value + load(pair.mirror + y * p.flipped.stride_h + mirrored * p.flipped.stride_w)) * acc_t<T>(0.5);
}

template <class A>
struct Peak {
  A value;
  int place;  // y * width + x
};

// NaN is above all values; of equal values the first in reading order is taken.
template <class A>
HRNET_FAST_HD Peak<A> higher(const Peak<A>& a, const Peak<A>& b) {
  const bool b_is = b.value != b.value || b.value > a.value || (b.value == a.value && b.place < a.place);
  return b_is ? b : a;
}

// The highest of the values at lane, lane + lanes, ...; a lane without values takes the first one's.
template <class T>
HRNET_FAST_HD Peak<acc_t<T>> peak_of_lane(const HeatmapDecode& p, const HeatmapPair<T>& pair, int lane, int lanes) {
  const int width = int(p.width), values = int(p.height) * width;
  int place = lane < values ? lane : 0, y = place / width, x = place % width;
  Peak<acc_t<T>> best = {mean_at(p, pair, y, x), place};
  while ((place += lanes) < values) {
    y += lanes / width, x += lanes % width;
    if (x >= width) x -= width, ++y;
    best = higher(best, {mean_at(p, pair, y, x), place});
  }
  return best;
}

// One step of the tree: peaks [0, half) take in peaks [half, 2 half). A barrier lies before each step.
template <class A>
HRNET_FAST_HD void join_peaks(Peak<A>* peaks, int lane, int half) {
  if (lane < half) peaks[lane] = higher(peaks[lane], peaks[lane + half]);
}

template <class A>
HRNET_FAST_HD A quarter_towards(A higher, A lower) {
  return A(0.25) * A((higher - lower > 0) - (higher - lower < 0));
}

template <class T>
HRNET_FAST_HD void write_point(const HeatmapDecode& p, const HeatmapPair<T>& pair, int64_t map,
                               const Peak<acc_t<T>>& peak) {
  using A = acc_t<T>;
  const bool found = peak.value > 0;
  const int width = int(p.width), x = found ? peak.place % width : 0, y = found ? peak.place / width : 0;
  A moved_x = A(x), moved_y = A(y);
  if (p.quarter && x > 1 && x < width - 1 && y > 1 && y < int(p.height) - 1) {
    moved_x += quarter_towards(mean_at(p, pair, y, x + 1), mean_at(p, pair, y, x - 1));
    moved_y += quarter_towards(mean_at(p, pair, y + 1, x), mean_at(p, pair, y - 1, x));
  }
  A* point = static_cast<A*>(p.out) + map * 3;
  point[0] = moved_x, point[1] = moved_y, point[2] = peak.value;
}

}  // namespace hrnet_fast
