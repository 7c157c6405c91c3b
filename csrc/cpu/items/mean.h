// The mean of all pixels of an image, by sums of up to 64 pixels of a row, since one long sum would err more than
// torch's.
#pragma once

#include "cpu/items/work.h"

namespace hrnet_fast {
namespace {

// Of W vectors of channels from c on, of which `left` channels there are.
template <int W, bool kFull>
HRNET_FAST_ISA void average_vectors(const Work& work, int64_t n, int64_t c, int64_t left) {
  const Map& from = work.from;
  const Element* image = work.data(from) + from.from_first(n, 0, 0) + c;
  Element* out = work.data(work.to) + work.place(n, 0, 0) * work.to.channels + c;
  constexpr int64_t kPixels = 64;
  V sums[W];
  for (int v = 0; v < W; ++v) sums[v] = V::fill(0.0f);
  for (int64_t y = 0; y < from.height; ++y, image += from.row()) {
    const Element* pixel = image;
    for (int64_t first = 0; first < from.width; first += kPixels) {
      V part[W];
      for (int v = 0; v < W; ++v) part[v] = V::fill(0.0f);
      for (int64_t x = first; x < std::min(from.width, first + kPixels); ++x, pixel += from.channels)
        for (int v = 0; v < W; ++v) part[v].v += load<kFull>(pixel + v * kLanes, left - v * kLanes).v;
      for (int v = 0; v < W; ++v) sums[v].v += part[v].v;
    }
  }
  const float pixels = float(from.height * from.width);
  for (int v = 0; v < W; ++v) {
    const V mean = {sums[v].v / pixels};
    if (kFull) {
      mean.store(out + v * kLanes);
    } else {
      mean.store(out + v * kLanes, left - v * kLanes);
    }
  }
}

HRNET_FAST_ISA void average(const Work& work, int64_t begin, int64_t end) {
  constexpr int64_t kWide = kMeanVectors * kLanes;
  const int64_t channels = work.item.channels, parts = (channels + kWide - 1) / kWide;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t n = unit / parts, first = unit % parts * kWide, stop = std::min(channels, first + kWide);
    if (stop - first == kWide) {
      average_vectors<kMeanVectors, true>(work, n, first, kWide);
    } else {
      for (int64_t c = first; c < stop; c += kLanes) average_vectors<1, false>(work, n, c, stop - c);
    }
  }
}

}  // namespace
}  // namespace hrnet_fast
