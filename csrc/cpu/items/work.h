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

// A summand at one pixel of the sum: up to four source pixels with their weights.
struct Corner {
  const float *a, *b, *c, *d;  // upper left, upper right, lower left, lower right
  float x, y;  // weight of b (and d) along the row, of c and d along the column
  bool plain;
};

HRNET_FAST_ISA Corner corner(const Summand& summand, const Map& map, const float* data, const Pixel& p, int64_t channel) {
  const float* base = data + channel;
  if (summand.rows.empty() && summand.cols.empty()) {
    const float* same = base + map.offset + p.out * map.channels;
    return {same, same, same, same, 0.0f, 0.0f, true};
  }
  const Tap<float> row = summand.rows.empty() ? Tap<float>{p.y, p.y, 0.0f} : summand.rows[p.y];
  const Tap<float> col = summand.cols.empty() ? Tap<float>{p.x, p.x, 0.0f} : summand.cols[p.x];
  return {base + map.at(p.n, row.lo, col.lo), base + map.at(p.n, row.lo, col.hi), base + map.at(p.n, row.hi, col.lo),
          base + map.at(p.n, row.hi, col.hi), col.weight,                         row.weight,
          row.lo == row.hi && col.lo == col.hi};
}

using V = Vec<float>;

HRNET_FAST_ISA V value(const Corner& s, int64_t c, int64_t count) {
  const V a = V::load(s.a + c, count);
  if (s.plain) return a;
  const V b = V::load(s.b + c, count), e = V::load(s.c + c, count), d = V::load(s.d + c, count);
  const V wx = V::fill(s.x), wy = V::fill(s.y), ux = V::fill(1.0f - s.x), uy = V::fill(1.0f - s.y);
  const V top = V{ux.v * a.v}.plus(wx, b), bottom = V{ux.v * e.v}.plus(wx, d);
  return V{uy.v * top.v}.plus(wy, bottom);
}

// Adds bias and summands to `vectors` vectors of channels from `c` on at one pixel, and stores them. The bias comes last,
// as in torch: first, a large one would round every product that follows.
HRNET_FAST_ISA void finish(const Work& work, const V* sums, int64_t vectors, const Pixel& p, int64_t c) {
  const Item& item = work.item;
  Corner corners[kMaxTerms];
  int count = 0;
  for (const Summand& s : item.summands) {
    const Map& from = work.maps[s.map];
    corners[count++] = corner(s, from, static_cast<const float*>(work.buffers[from.buffer]), p, c);
  }
  float* out = work.data(work.to) + p.out * work.to.channels + item.channel + c;
  for (int64_t v = 0; v < vectors; ++v) {
    const int64_t at = v * kLanes, left = item.channels - c - at;
    V total = sums ? V{sums[v].v + V::load(item.bias + c + at).v} : V::fill(0.0f);
    if (item.relu == Relu::first) total = total.relu();
    for (int k = 0; k < count; ++k) total = V{total.v + value(corners[k], at, left).v};
    if (item.relu == Relu::last) total = total.relu();
    total.store(out + at, left);
  }
}

// Accumulators that stay in registers beside a vector of weights for each block's vector and one input: pixels of a tile
// that is `vectors` wide.
constexpr int tile_pixels(int vectors) { return vectors == 1 ? 12 : (kLanes == 16 ? 24 : 12) / vectors; }

// sums[p][v] += sum over i of x[p][i] * weights[i][v], `channels` inputs long: the rate of everything depends on it. For
// each input, the weights are loaded once and meet P broadcast inputs: 12 x 2 multiply-adds wait for 14 loads.
template <int P, int W>
HRNET_FAST_ISA void multiply(V (&sums)[P][W], const float* const (&x)[P], int64_t channels, const float* weights) {
#pragma GCC unroll 4
  for (int64_t i = 0; i < channels; ++i) {
    V w[W];
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) w[v] = V::load(weights + v * kLanes);
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
