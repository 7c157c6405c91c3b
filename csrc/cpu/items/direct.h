// Direct convolution with every accumulator of a tile in a register: pixels of the result by vectors of its channels.
#pragma once

#include "cpu/items/work.h"

namespace hrnet_fast {
namespace {

// `count` <= P pixels from `next` on, which moves past them; W vectors of output channels from `c` on.
template <int P, int W>
HRNET_FAST_ISA void tile(const Work& work, Pixel& next, int count, int64_t c, const float* weights) {
  const Item& item = work.item;
  const float* data = work.data(work.from);
  const int64_t channels = work.from.channels, length = item.tap_length;
  Pixel pixels[P];
  const float* start[P];
  for (int p = 0; p < P; ++p) {  // past the end the last pixel is computed again, and not stored
    pixels[p] = p < count ? next : pixels[count - 1];
    const int64_t row = pixels[p].n * (work.from.height + 2) + pixels[p].y * item.stride_h;
    start[p] = data + (row * (work.from.width + 2) + pixels[p].x * item.stride_w) * channels;
    if (p < count) work.advance(next);
    fetch_ahead<W>(work, pixels[p], c);
  }
  V sums[P][W];
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < W; ++v) sums[p][v] = V::fill(0.0f);
  for (const int64_t tap : item.taps) {
    const float* x[P];
    for (int p = 0; p < P; ++p) x[p] = start[p] + tap;
    multiply<P, W>(sums, x, length, weights);
    weights += length * W * kLanes;
  }
  const bool full = item.channels - c >= W * kLanes;
  for (int p = 0; p < count; ++p) {
    if (full) {
      finish<W, true>(work, sums[p], pixels[p], c);
    } else {
      finish<W, false>(work, sums[p], pixels[p], c);
    }
  }
}

// `count` pixels from `next` on of one block, in tiles as wide as they fit.
template <int W>
HRNET_FAST_ISA void block(const Work& work, Pixel next, int64_t count, int64_t c, const float* weights) {
  constexpr int kWide = tile_pixels(W);
  while (count > 0) {
    const int now = int(std::min<int64_t>(kWide, count));
    if (now > kWide / 2) {
      tile<kWide, W>(work, next, now, c, weights);
    } else if (now > kWide / 3) {
      tile<kWide / 2, W>(work, next, now, c, weights);
    } else if (now > kWide / 6) {
      tile<kWide / 3, W>(work, next, now, c, weights);
    } else {
      tile<(kWide < 6 ? 1 : kWide / 6), W>(work, next, now, c, weights);
    }
    count -= now;
  }
}

// Light weights stay in the cache while the pixels go by once; heavy ones are read once while the pixels go by again.
constexpr int64_t kLightWeights = 64 * 1024;  // floats

HRNET_FAST_ISA void convolve(const Work& work, int64_t begin, int64_t end) {
  const Item& item = work.item;
  const int64_t pixels = work.to.batch * work.to.height * work.to.width;
  const int64_t groups = (pixels + kUnit - 1) / kUnit, vectors = (item.channels + kLanes - 1) / kLanes;
  const int64_t blocks = block_count(vectors);
  const int64_t per_vector = int64_t(item.taps.size()) * item.tap_length * kLanes;
  const bool light = vectors * per_vector <= kLightWeights;
  while (begin < end) {
    const int64_t b = light ? begin % blocks : begin / groups, group = light ? begin / blocks : begin % groups;
    const int64_t run = light ? 1 : std::min(end - begin, groups - group);
    const int64_t first = group * kUnit, count = std::min(pixels - first, run * kUnit);
    const float* weights = work.weights() + 2 * b * per_vector;
    const Pixel start = work.pixel(first);
    switch (block_vectors(vectors, 2 * b)) {
      case 1: block<1>(work, start, count, 2 * kLanes * b, weights); break;
      case 2: block<2>(work, start, count, 2 * kLanes * b, weights); break;
      default: block<3>(work, start, count, 2 * kLanes * b, weights);
    }
    begin += run;
  }
}

}  // namespace
}  // namespace hrnet_fast
