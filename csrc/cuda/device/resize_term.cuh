// 16 bytes of a summand, brought to a pixel of the output.
#pragma once

#include "cuda/device/portable.cuh"
#include "cuda/level.h"

namespace hrnet_fast {

template <class T>
constexpr int kGranuleValues = 16 / int(sizeof(T));

enum TermMode { kSame, kNearest, kBilinear, kBilinearCorners };

// Value index of a pixel's first channel in an NHWC map [N, height + 2 * border, width + 2 * border, channels].
HRNET_FAST_DEVICE int pixel_index(int n, int y, int x, int height, int width, int channels, int border) {
  return ((n * (height + 2 * border) + y + border) * (width + 2 * border) + x + border) * channels;
}

HRNET_FAST_DEVICE float relu(float x) { return x < 0.0f ? 0.0f : x; }  // keeps NaN

// sum += weight * the granule's values
template <class T>
HRNET_FAST_DEVICE void add_granule(float (&sum)[kGranuleValues<T>], const Granule& granule, float weight = 1.0f) {
  for (int i = 0; i < kGranuleValues<T>; ++i) {
    T value;
    const uint32_t word = granule.words[i * sizeof(T) / 4];
    const uint32_t bits = sizeof(T) == 2 ? word >> i % 2 * 16 : word;
    memcpy(&value, &bits, sizeof(T));
    sum[i] += weight * load(&value);
  }
}

template <class T>
HRNET_FAST_DEVICE Granule round_granule(const float (&sum)[kGranuleValues<T>]) {
  Granule granule = {};
  for (int i = 0; i < kGranuleValues<T>; ++i) {
    T value;
    uint32_t bits = 0;
    store(&value, sum[i]);
    memcpy(&bits, &value, sizeof(T));
    granule.words[i * sizeof(T) / 4] |= sizeof(T) == 2 ? bits << i % 2 * 16 : bits;
  }
  return granule;
}

struct Neighbours {
  int low, high;
  float weight;  // of high
};

HRNET_FAST_DEVICE Neighbours neighbours(int position, int size, float scale, bool corners) {
  const float at = corners ? float(position) * scale : (float(position) + 0.5f) * scale - 0.5f;
  const float source = at < 0.0f ? 0.0f : at;
  const int low = int(source) < size - 1 ? int(source) : size - 1;
  return {low, low + 1 < size ? low + 1 : low, source - float(low)};
}

HRNET_FAST_DEVICE int nearest(int position, int size, float scale) {
  const int at = int(float(position) * scale);
  return at < size - 1 ? at : size - 1;
}

// sum += the term's values for output pixel (n, y, x), channels from `channel` on, of `channels` in all
template <class T>
HRNET_FAST_DEVICE void add_term(float (&sum)[kGranuleValues<T>], const LevelTerm& term, int n, int y, int x,
                                int channel, int channels, int border) {
  const T* data = static_cast<const T*>(term.data) + channel;
  const auto granule = [&](int row, int column) {
    const int at = pixel_index(n, row, column, term.height, term.width, channels, border);
    return load_global<Granule>(data + at);
  };
  if (term.mode == kSame) return add_granule<T>(sum, granule(y, x));
  if (term.mode == kNearest) {
    return add_granule<T>(sum, granule(nearest(y, term.height, term.scale_y), nearest(x, term.width, term.scale_x)));
  }
  const bool corners = term.mode == kBilinearCorners;
  const Neighbours rows = neighbours(y, term.height, term.scale_y, corners);
  const Neighbours columns = neighbours(x, term.width, term.scale_x, corners);
  const Granule corner[4] = {granule(rows.low, columns.low), granule(rows.low, columns.high),
                             granule(rows.high, columns.low), granule(rows.high, columns.high)};
  float top[kGranuleValues<T>] = {}, low[kGranuleValues<T>] = {};
  add_granule<T>(top, corner[0], 1.0f - columns.weight);
  add_granule<T>(top, corner[1], columns.weight);
  add_granule<T>(low, corner[2], 1.0f - columns.weight);
  add_granule<T>(low, corner[3], columns.weight);
  for (int i = 0; i < kGranuleValues<T>; ++i) sum[i] += top[i] * (1.0f - rows.weight) + low[i] * rows.weight;
}

}  // namespace hrnet_fast
