// What becomes of sums once they leave their tiles: bias, summands and ReLU in float32, rounded once to bfloat16. Include
// after cpu/isa/vec_avx512.h.
#pragma once

#include "cpu/program.h"

namespace hrnet_fast {
namespace {

using V = Vec<float>;
constexpr int64_t kLanes = V::kWidth;
static_assert(kLanes == 16, "a row of a tile is one vector");

// The first `count` of 16 channels; the others are 0.
HRNET_FAST_ISA V load_channels(const bf16_t* from, int64_t count) {
  if (count >= kLanes) return V::load(from);
  alignas(32) bf16_t whole[kLanes];
  _mm256_store_si256(reinterpret_cast<__m256i*>(whole), _mm256_maskz_loadu_epi16(V::first(count), from));
  return V::load(whole);
}

HRNET_FAST_ISA void store_channels(bf16_t* to, V v, int64_t count) {
  if (count >= kLanes) return v.store(to);
  alignas(32) bf16_t whole[kLanes];
  v.store(whole);
  _mm256_mask_storeu_epi16(to, V::first(count), _mm256_load_si256(reinterpret_cast<const __m256i*>(whole)));
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

HRNET_FAST_ISA V value(const Corner& s, int64_t c, int64_t count) {
  const V a = load_channels(s.a + c, count);
  if (s.plain) return a;
  const V b = load_channels(s.b + c, count), e = load_channels(s.c + c, count), d = load_channels(s.d + c, count);
  const V wx = V::fill(s.x), wy = V::fill(s.y), ux = V::fill(1.0f - s.x), uy = V::fill(1.0f - s.y);
  const V top = V{ux.v * a.v}.plus(wx, b), bottom = V{ux.v * e.v}.plus(wx, d);
  return V{uy.v * top.v}.plus(wy, bottom);
}

// Channels [c, c + 16 * vectors) of pixel (n, y, x) of the result. sums: 16 floats of each vector, `step` apart; null for
// what is no convolution.
HRNET_FAST_ISA void finish(const Work& work, const float* sums, int64_t step, int64_t vectors, int64_t n, int64_t y,
                           int64_t x, int64_t c) {
  const Item& item = work.item;
  Corner corners[kMaxTerms];
  int count = 0;
  for (const Summand& summand : item.summands) corners[count++] = corner(work, summand, n, y, x);
  bf16_t* out = work.out(n, y, x);
  for (int64_t v = 0; v < vectors; ++v, c += kLanes) {
    const int64_t left = item.channels - c;
    V total = sums ? V{V::load(sums + v * step).v + V::load(item.bias + c).v} : V::fill(0.0f);
    if (item.relu == Relu::first) total = total.relu();
    for (int k = 0; k < count; ++k) total = V{total.v + value(corners[k], c, left).v};
    if (item.relu == Relu::last) total = total.relu();
    store_channels(out + c, total, left);
  }
}

}  // namespace
}  // namespace hrnet_fast
