// The items of a Program with AVX-512: direct convolution with every accumulator of a tile in a register.
//
// A tile is P pixels by V vectors of 16 output channels. For each tap and input channel, V vectors of weights are loaded
// once and meet P broadcast inputs: with P = 12 and V = 2, 24 multiply-adds wait for 14 loads, so the tile runs at the
// rate of the multipliers.
#include "cpu/program.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#define ISA __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))

namespace hrnet_fast {
namespace {

// A pixel of a result, with its place among the bordered pixels of the result, and that of the input pixel at
// (y * stride - 1, x * stride - 1) among those of the input.
struct Pixel {
  int64_t n, y, x, out, in;
};

struct Work {
  const Item& item;
  const std::vector<Map>& maps;
  float* const* buffers;
  const Map& to;
  const Map& from;  // the input of a convolution; else the result itself

  Pixel pixel(int64_t index) const {
    const int64_t plane = to.height * to.width, rest = index % plane;
    Pixel p{index / plane, rest / to.width, rest % to.width, 0, 0};
    place(p);
    return p;
  }

  void place(Pixel& p) const {
    p.out = (p.n * (to.height + 2) + p.y + 1) * (to.width + 2) + p.x + 1;
    p.in = (p.n * (from.height + 2) + p.y * item.stride_h) * (from.width + 2) + p.x * item.stride_w;
  }

  void advance(Pixel& p) const {
    ++p.out;
    p.in += item.stride_w;
    if (++p.x < to.width) return;
    p.x = 0;
    if (++p.y == to.height) {
      p.y = 0;
      ++p.n;
    }
    place(p);
  }
};

// A summand at one pixel of the sum: up to four source pixels with their weights.
struct Corner {
  const float *a, *b, *c, *d;  // upper left, upper right, lower left, lower right
  float x, y;  // weight of b (and d) along the row, of c and d along the column
  bool plain;
};

inline Corner corner(const Summand& summand, const Map& map, const float* data, const Pixel& p, int64_t channel) {
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

ISA inline __m512 value(const Corner& s, int64_t c, __mmask16 mask) {
  const __m512 a = _mm512_maskz_loadu_ps(mask, s.a + c);
  if (s.plain) return a;
  const __m512 b = _mm512_maskz_loadu_ps(mask, s.b + c), e = _mm512_maskz_loadu_ps(mask, s.c + c);
  const __m512 d = _mm512_maskz_loadu_ps(mask, s.d + c), wx = _mm512_set1_ps(s.x), wy = _mm512_set1_ps(s.y);
  const __m512 ux = _mm512_set1_ps(1.0f - s.x), uy = _mm512_set1_ps(1.0f - s.y);
  const __m512 top = _mm512_fmadd_ps(wx, b, _mm512_mul_ps(ux, a)), bottom = _mm512_fmadd_ps(wx, d, _mm512_mul_ps(ux, e));
  return _mm512_fmadd_ps(wy, bottom, _mm512_mul_ps(uy, top));
}

ISA inline __m512 relu(__m512 v) { return _mm512_max_ps(_mm512_setzero_ps(), v); }  // in this order a NaN stays a NaN

// Adds bias and summands to `vectors` vectors of channels from `c` on at one pixel, and stores them. The bias comes last,
// as in torch: first, a large one would round every product that follows.
ISA inline void finish(const Work& work, const __m512* sums, int64_t vectors, const Pixel& p, int64_t c) {
  const Item& item = work.item;
  Corner corners[kMaxTerms];
  int count = 0;
  for (const Summand& s : item.summands) {
    const Map& from = work.maps[s.map];
    corners[count++] = corner(s, from, work.buffers[from.buffer], p, c);
  }
  float* out = work.buffers[work.to.buffer] + work.to.offset + p.out * work.to.channels + item.channel + c;
  for (int64_t v = 0; v < vectors; ++v) {
    const int64_t left = item.channels - c - 16 * v;
    const __mmask16 mask = left >= 16 ? __mmask16(0xffff) : __mmask16((1u << left) - 1u);
    __m512 total = sums ? _mm512_add_ps(sums[v], _mm512_loadu_ps(item.bias + c + 16 * v)) : _mm512_setzero_ps();
    if (item.relu == Relu::first) total = relu(total);
    for (int k = 0; k < count; ++k) total = _mm512_add_ps(total, value(corners[k], 16 * v, mask));
    if (item.relu == Relu::last) total = relu(total);
    _mm512_mask_storeu_ps(out + 16 * v, mask, total);
  }
}

// `count` <= P pixels from `next` on, which moves past them; output channels [c, c + 16 V).
template <int P, int V>
ISA void tile(const Work& work, Pixel& next, int count, int64_t c, const float* weights) {
  const Item& item = work.item;
  const float* data = work.buffers[work.from.buffer] + work.from.offset;
  const int64_t channels = work.from.channels;
  Pixel pixels[P];
  const float* start[P];
  for (int p = 0; p < P; ++p) {  // past the end the last pixel is computed again, and not stored
    pixels[p] = p < count ? next : pixels[count - 1];
    start[p] = data + pixels[p].in * channels;
    if (p < count) work.advance(next);
  }
  __m512 sums[P][V];
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < V; ++v) sums[p][v] = _mm512_setzero_ps();
  for (const int64_t tap : item.taps) {
    const float* x[P];
    for (int p = 0; p < P; ++p) x[p] = start[p] + tap;
#pragma GCC unroll 4
    for (int64_t i = 0; i < channels; ++i) {
      __m512 w[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) w[v] = _mm512_loadu_ps(weights + 16 * v);
      weights += 16 * V;
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const __m512 input = _mm512_set1_ps(x[p][i]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[p][v] = _mm512_fmadd_ps(input, w[v], sums[p][v]);
      }
    }
  }
  for (int p = 0; p < count; ++p) finish(work, sums[p], V, pixels[p], c);
}

// `count` pixels from `next` on of one block, in tiles as wide as they fit.
template <int V>
ISA void block(const Work& work, Pixel next, int64_t count, int64_t c, const float* weights) {
  constexpr int kWide = V == 3 ? 8 : 12;
  while (count > 0) {
    const int now = int(std::min<int64_t>(kWide, count));
    if (now > 6) {
      tile<kWide, V>(work, next, now, c, weights);
    } else if (now > 4) {
      tile<6, V>(work, next, now, c, weights);
    } else if (now > 2) {
      tile<4, V>(work, next, now, c, weights);
    } else {
      tile<2, V>(work, next, now, c, weights);
    }
    count -= now;
  }
}

// Light weights stay in the cache while the pixels go by once; heavy ones are read once while the pixels go by again.
constexpr int64_t kLightWeights = 64 * 1024;  // floats

ISA void convolve(const Work& work, int64_t begin, int64_t end) {
  const Item& item = work.item;
  const int64_t pixels = work.to.batch * work.to.height * work.to.width;
  const int64_t groups = (pixels + kUnit - 1) / kUnit, vectors = (item.channels + 15) / 16;
  const int64_t blocks = units(item, work.maps) / groups;
  const int64_t per_vector = int64_t(item.taps.size()) * work.from.channels * 16;
  const bool light = vectors * per_vector <= kLightWeights;
  while (begin < end) {
    const int64_t b = light ? begin % blocks : begin / groups, group = light ? begin / blocks : begin % groups;
    const int64_t run = light ? 1 : std::min(end - begin, groups - group);
    const int64_t first = group * kUnit, count = std::min(pixels - first, run * kUnit);
    const float* weights = item.weights + 2 * b * per_vector;
    const Pixel start = work.pixel(first);
    switch (block_vectors(vectors, 2 * b)) {
      case 1: block<1>(work, start, count, 32 * b, weights); break;
      case 2: block<2>(work, start, count, 32 * b, weights); break;
      default: block<3>(work, start, count, 32 * b, weights);
    }
    begin += run;
  }
}

ISA void sum(const Work& work, int64_t begin, int64_t end) {
  const int64_t pixels = work.to.batch * work.to.height * work.to.width;
  Pixel p = work.pixel(begin * kUnit);
  for (int64_t i = begin * kUnit; i < std::min(pixels, end * kUnit); ++i, work.advance(p))
    finish(work, nullptr, (work.item.channels + 15) / 16, p, 0);
}

}  // namespace

void run_item__avx512(const Item& item, const std::vector<Map>& maps, float* const* buffers, int64_t begin, int64_t end) {
  const Work work{item, maps, buffers, maps[item.out], maps[item.in < 0 ? item.out : item.in]};
  if (item.in < 0) {
    sum(work, begin, end);
  } else {
    convolve(work, begin, end);
  }
}

}  // namespace hrnet_fast
#else
namespace hrnet_fast {
void run_item__avx512(const Item&, const std::vector<Map>&, float* const*, int64_t, int64_t) {}
}  // namespace hrnet_fast
#endif
