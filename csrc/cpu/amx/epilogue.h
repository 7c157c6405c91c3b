// What becomes of sums once they leave their tiles: bias, summands and ReLU in float32, rounded once to bfloat16.
// Include after cpu/isa/vec_avx512.h.
#pragma once

#include <cmath>

#include "cpu/program.h"

namespace hrnet_fast {
namespace {

using V = Vec<float>;
constexpr int64_t kLanes = V::kWidth, kStrip = 16;  // outputs and positions of a tile of sums
static_assert(kLanes == 16, "a row of a tile is one vector");

// The first `count` of 16 channels, or all of them; the others are 0.
template <bool kFull>
HRNET_FAST_ISA V load_channels(const bf16_t* from, int64_t count) {
  return kFull ? V::load(from) : V::load(from, count);
}

template <bool kFull>
HRNET_FAST_ISA void store_channels(bf16_t* to, V v, int64_t count) {
  kFull ? v.store(to) : v.store(to, count);
}

struct Work {
  const Item& item;
  const std::vector<Map>& maps;
  void* const* buffers;
  const Map& to;
  const Map& from;  // the input of a convolution; else the result itself

  const bf16_t* read(const Map& map) const { return static_cast<const bf16_t*>(buffers[map.buffer]); }
  bf16_t* out(int64_t n, int64_t y, int64_t x) const {
    return static_cast<bf16_t*>(buffers[to.buffer]) + to.at(n, y, x) + item.channel;
  }
};

// A summand at one pixel of the sum: up to four source pixels, weighted along the row and along the column.
struct Corner {
  const bf16_t *a, *b, *c, *d;  // upper left, upper right, lower left, lower right
  float x, y;                   // weight of b (and d) along the row, of c and d along the column
  bool plain;                   // a alone
};

HRNET_FAST_ISA Corner corner(const Work& work, const Summand& summand, int64_t n, int64_t y, int64_t x) {
  const Map& map = work.maps[summand.map];
  const bf16_t* base = work.read(map);
  const Tap<float> row = summand.rows.empty() ? Tap<float>{y, y, 0.0f} : summand.rows[y];
  const Tap<float> col = summand.cols.empty() ? Tap<float>{x, x, 0.0f} : summand.cols[x];
  const bf16_t *a = base + map.at(n, row.lo, col.lo), *c = base + map.at(n, row.hi, col.lo);
  const int64_t right = (col.hi - col.lo) * map.channels;
  return {a, a + right, c, c + right, col.weight, row.weight, a == c && right == 0};
}

template <bool kFull>
HRNET_FAST_ISA V value(const Corner& s, int64_t c, int64_t count) {
  const V a = load_channels<kFull>(s.a + c, count);
  if (s.plain) return a;
  const V b = load_channels<kFull>(s.b + c, count), e = load_channels<kFull>(s.c + c, count);
  const V d = load_channels<kFull>(s.d + c, count);
  const V wx = V::fill(s.x), wy = V::fill(s.y), ux = V::fill(1.0f - s.x), uy = V::fill(1.0f - s.y);
  const V top = V{ux.v * a.v}.plus(wx, b), bottom = V{ux.v * e.v}.plus(wx, d);
  return V{uy.v * top.v}.plus(wy, bottom);
}

// Pixels side by side in a row of the result, and the first of their channels.
struct Pixels {
  int64_t n, y, x, count, channel;
};

// What is added to an item's sums: nothing, one map as it lies, or any maps.
enum class Added { none, plain, any };

// sums: of a convolution, [W vectors][16 positions][16 outputs], from the first pixel on.
template <bool kSums, int W, bool kFull, Added kAdded>
HRNET_FAST_ISA void finish_as(const Work& work, const float* sums, const Pixels& p) {
  const Item& item = work.item;
  const int64_t left = item.channels - p.channel, step = work.to.channels, summands = int64_t(item.summands.size());
  const float first = item.relu == Relu::first ? 0.0f : -INFINITY, last = item.relu == Relu::last ? 0.0f : -INFINITY;
  bf16_t* out = work.out(p.n, p.y, p.x) + p.channel;
  const bf16_t* same = nullptr;
  if constexpr (kAdded == Added::plain) {
    const Map& map = work.maps[item.summands[0].map];
    same = work.read(map) + map.at(p.n, p.y, p.x) + p.channel;
  }
  V bias[W];
  for (int v = 0; v < W; ++v) bias[v] = kSums ? V::load(item.bias + p.channel + v * kLanes) : V::fill(0.0f);
  Corner corners[kAdded == Added::any ? kMaxTerms : 1];
  for (int64_t i = 0; i < p.count; ++i, out += step) {
    if constexpr (kAdded == Added::any)
      for (int64_t k = 0; k < summands; ++k) corners[k] = corner(work, item.summands[k], p.n, p.y, p.x + i);
    for (int v = 0; v < W; ++v) {
      const int64_t c = v * kLanes;
      V total = bias[v];
      if constexpr (kSums) total = V{V::load(sums + (v * kStrip + i) * kLanes).v + total.v}.at_least(first);
      if constexpr (kAdded == Added::plain)
        total = V{total.v + load_channels<kFull>(same + i * item.channels + c, left - c).v};
      if constexpr (kAdded == Added::any)
        for (int64_t k = 0; k < summands; ++k) total = V{total.v + value<kFull>(corners[k], p.channel + c, left - c).v};
      store_channels<kFull>(out + c, total.at_least(last), left - c);
    }
  }
}

template <int W, bool kFull>
HRNET_FAST_ISA void finish(const Work& work, const float* sums, const Pixels& p) {
  const std::vector<Summand>& summands = work.item.summands;
  if (summands.empty()) {
    finish_as<true, W, kFull, Added::none>(work, sums, p);
  } else if (summands.size() == 1 && summands[0].rows.empty() && summands[0].cols.empty()) {
    finish_as<true, W, kFull, Added::plain>(work, sums, p);
  } else {
    finish_as<true, W, kFull, Added::any>(work, sums, p);
  }
}

}  // namespace
}  // namespace hrnet_fast
