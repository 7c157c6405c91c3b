// What the kernels of an item share: its maps, the pixels of its result, and its epilogue. Include after
// cpu/isa/vec_<isa>.h.
#pragma once

#include <algorithm>

#include "cpu/lanes.h"
#include "cpu/program.h"

namespace hrnet_fast {
namespace {

// A pixel of a result, with its place among the bordered pixels of the result.
struct Pixel {
  int64_t n, y, x, out;
};

struct Work {
  const Item& item;
  const std::vector<Map>& maps;
  void* const* buffers;
  const Map& to;
  const Map& from;  // the input of a convolution; else the result itself

  float* data(const Map& map) const { return static_cast<float*>(buffers[map.buffer]) + map.offset; }
  const float* weights() const { return static_cast<const float*>(item.weights); }

  int64_t place(int64_t n, int64_t y, int64_t x) const { return (n * (to.height + 2) + y + 1) * (to.width + 2) + x + 1; }

  Pixel pixel(int64_t index) const {
    const int64_t plane = to.height * to.width, rest = index % plane;
    const int64_t n = index / plane, y = rest / to.width, x = rest % to.width;
    return {n, y, x, place(n, y, x)};
  }

  void advance(Pixel& p) const {
    ++p.out;
    if (++p.x < to.width) return;
    p.x = 0;
    if (++p.y == to.height) {
      p.y = 0;
      ++p.n;
    }
    p.out = place(p.n, p.y, p.x);
  }
};

using V = Vec<float>;

template <bool kFull>
HRNET_FAST_ISA V load(const float* s, int64_t count) {
  return kFull ? V::load(s) : V::load(s, count);
}

// A summand of another size at one pixel of the sum: four source pixels with their weights.
struct Corner {
  const float *a, *b, *c, *d;  // upper left, upper right, lower left, lower right
  float x, y;  // weight of b (and d) along the row, of c and d along the column
  bool one;    // all four are the same
};

HRNET_FAST_ISA Corner corner(const Summand& summand, const Map& map, const float* data, const Pixel& p) {
  const Tap<float> row = summand.rows.empty() ? Tap<float>{p.y, p.y, 0.0f} : summand.rows[p.y];
  const Tap<float> col = summand.cols.empty() ? Tap<float>{p.x, p.x, 0.0f} : summand.cols[p.x];
  const float *low = data + map.from_first(p.n, row.lo, 0), *high = data + map.from_first(p.n, row.hi, 0);
  const int64_t left = col.lo * map.channels, right = col.hi * map.channels;
  return {low + left, low + right, high + left, high + right, col.weight, row.weight, row.lo == row.hi && col.lo == col.hi};
}

template <bool kFull>
HRNET_FAST_ISA V value(const Corner& s, int64_t c, int64_t count) {
  const V a = load<kFull>(s.a + c, count);
  if (s.one) return a;
  const V b = load<kFull>(s.b + c, count), e = load<kFull>(s.c + c, count), d = load<kFull>(s.d + c, count);
  const V wx = V::fill(s.x), wy = V::fill(s.y), ux = V::fill(1.0f - s.x), uy = V::fill(1.0f - s.y);
  const V top = V{ux.v * a.v}.plus(wx, b), bottom = V{ux.v * e.v}.plus(wx, d);
  return V{uy.v * top.v}.plus(wy, bottom);
}

// Adds bias and summands to W vectors of channels from `c` on at one pixel, and stores them; kFull: all of them are there.
// The bias comes last, as in torch: first, a large one would round every product that follows.
template <int W, bool kFull>
HRNET_FAST_ISA void finish(const Work& work, const V* sums, const Pixel& p, int64_t c) {
  const Item& item = work.item;
  const int64_t left = item.channels - c;
  V total[W];
  for (int v = 0; v < W; ++v)
    total[v] = sums ? V{sums[v].v + V::load(item.bias + c + v * kLanes).v} : V::fill(0.0f);
  if (item.relu == Relu::first)
    for (int v = 0; v < W; ++v) total[v] = total[v].relu();
  for (const Summand& s : item.summands) {
    const Map& from = work.maps[s.map];
    if (s.rows.empty() && s.cols.empty()) {
      const float* same = work.data(from) + p.out * from.channels + c;
      for (int v = 0; v < W; ++v) total[v].v += load<kFull>(same + v * kLanes, left - v * kLanes).v;
    } else {
      const Corner near = corner(s, from, work.data(from) + c, p);
      for (int v = 0; v < W; ++v) total[v].v += value<kFull>(near, v * kLanes, left - v * kLanes).v;
    }
  }
  float* out = work.data(work.to) + p.out * work.to.channels + item.channel + c;
  for (int v = 0; v < W; ++v) {
    if (item.relu == Relu::last) total[v] = total[v].relu();
    if (kFull) {
      total[v].store(out + v * kLanes);
    } else {
      total[v].store(out + v * kLanes, left - v * kLanes);
    }
  }
}

// Begins to fetch what `finish` will read and write at a pixel, while the products are still to be summed.
template <int W>
HRNET_FAST_ISA void fetch_ahead(const Work& work, const Pixel& p, int64_t c) {
  const float* out = work.data(work.to) + p.out * work.to.channels + work.item.channel + c;
  for (int v = 0; v < W; ++v) __builtin_prefetch(out + v * kLanes, 1);
  for (const Summand& s : work.item.summands) {
    if (!s.rows.empty() || !s.cols.empty()) continue;
    const float* same = work.data(work.maps[s.map]) + p.out * work.to.channels + c;
    for (int v = 0; v < W; ++v) __builtin_prefetch(same + v * kLanes);
  }
}

// Accumulators that stay in registers beside a vector of weights for each block's vector and one input: pixels of a tile
// that is `vectors` wide.
constexpr int tile_pixels(int vectors) { return vectors == 1 ? 12 : (kLanes == 16 ? 24 : 12) / vectors; }

// Weights are fetched into the second-level cache so many floats before they are used: those of a network come from memory.
constexpr int64_t kAhead = 4096;

// sums[p][v] += sum over i of x[p][i] * weights[i][v], `channels` inputs long: the rate of everything depends on it. For
// each input, the weights are loaded once and meet P broadcast inputs: 12 x 2 multiply-adds wait for 14 loads.
template <int P, int W>
HRNET_FAST_ISA void multiply(V (&sums)[P][W], const float* const (&x)[P], int64_t channels, const float* weights) {
#pragma GCC unroll 4
  for (int64_t i = 0; i < channels; ++i) {
    V w[W];
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) w[v] = V::load(weights + v * kLanes);
    for (int v = 0; v < W; ++v) __builtin_prefetch(weights + kAhead + v * kLanes, 0, 2);
    weights += W * kLanes;
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const V input = V::fill(x[p][i]);
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) sums[p][v] = sums[p][v].plus(input, w[v]);
    }
  }
}

}  // namespace
}  // namespace hrnet_fast
