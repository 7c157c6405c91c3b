// What the kernels of an item share: its maps, the pixels of its result, and its epilogue. Include after
// cpu/isa/vec_<isa>.h and cpu/items/words_<type>.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "cpu/program.h"

namespace hrnet_fast {
namespace {

// Room of one thread, kept from call to call.
class Room {
 public:
  template <class T>
  T* of(int64_t count) {
    const int64_t bytes = (count * int64_t(sizeof(T)) + 63) / 64 * 64;
    if (bytes > bytes_) {
      std::free(data_);
      data_ = std::aligned_alloc(64, bytes);
      if (data_ == nullptr) throw std::bad_alloc();
      bytes_ = bytes;
    }
    return static_cast<T*>(data_);
  }
  ~Room() { std::free(data_); }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

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

  Element* data(const Map& map) const { return static_cast<Element*>(buffers[map.buffer]) + map.offset; }
  const Word* weights() const { return static_cast<const Word*>(item.weights); }

  int64_t place(int64_t n, int64_t y, int64_t x) const { return (n * (to.height + 2) + y + 1) * (to.width + 2) + x + 1; }

  Pixel pixel(int64_t index) const {
    const int64_t plane = to.height * to.width, rest = index % plane;
    const int64_t n = index / plane, y = rest / to.width, x = rest % to.width;
    return {n, y, x, place(n, y, x)};
  }

  // From behind a row to the first pixel of the next one.
  void wrap(Pixel& p) const {
    p.x = 0;
    if (++p.y == to.height) p.y = 0, ++p.n;
    p.out = place(p.n, p.y, p.x);
  }

  void advance(Pixel& p) const {
    ++p.x, ++p.out;
    if (p.x == to.width) wrap(p);
  }

  // The input pixel that a convolution's taps count from: one up and left of the centre, for a border of one.
  const Element* source(const Pixel& p) const {
    const int64_t row = p.n * (from.height + 2) + p.y * item.stride_h;
    return data(from) + (row * (from.width + 2) + p.x * item.stride_w) * from.channels;
  }
};

template <bool kFull>
HRNET_FAST_ISA V load(const Element* s, int64_t count) {
  return kFull ? V::load(s) : V::load(s, count);
}

// A summand of another size at one pixel of the sum: four source pixels with their weights.
struct Corner {
  const Element *a, *b, *c, *d;  // upper left, upper right, lower left, lower right
  float x, y;  // weight of b (and d) along the row, of c and d along the column
  bool one;    // all four are the same
};

HRNET_FAST_ISA Corner corner(const Summand& summand, const Map& map, const Element* data, const Pixel& p) {
  const Tap<float> row = summand.rows.empty() ? Tap<float>{p.y, p.y, 0.0f} : summand.rows[p.y];
  const Tap<float> col = summand.cols.empty() ? Tap<float>{p.x, p.x, 0.0f} : summand.cols[p.x];
  const Element *low = data + map.from_first(p.n, row.lo, 0), *high = data + map.from_first(p.n, row.hi, 0);
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

// What is done with the sums of an item from output channel `c` on, with every address worked out once.
struct Epilogue {
  const Work& work;
  const int64_t c, left;  // the first channel, and how many there are from it on
  const float* const bias = work.item.bias == nullptr ? nullptr : work.item.bias + c;
  Element* const out = work.data(work.to) + work.item.channel + c;
  const Element* same[kMaxTerms];  // first pixels of the summands, which have the item's channels
  int count = 0;
  bool resizes = false, plain = false;  // plain: at most one summand, of the result's size, and no ReLU before it
  float before = -INFINITY, after = -INFINITY;  // a ReLU is a maximum with 0 before or after the summands

  Epilogue(const Work& work, int64_t c) : work(work), c(c), left(work.item.channels - c) {
    for (const Summand& s : work.item.summands) {
      resizes |= !s.rows.empty() || !s.cols.empty();
      same[count++] = work.data(work.maps[s.map]) + c;
    }
    if (work.item.relu == Relu::first && count > 0) before = 0.0f;
    if (work.item.relu != Relu::none && before != 0.0f) after = 0.0f;
    plain = !resizes && count <= 1 && before != 0.0f;
  }
};

// Adds bias and summands to W vectors of channels at one pixel, and stores them; kFull: all of their lanes are there.
// sums: null for none. The bias comes last, as in torch: first, a large one would round every product that follows.
template <int W, bool kFull>
HRNET_FAST_ISA void finish(const Epilogue& e, const V* sums, const Pixel& p) {
  V total[W];
  for (int v = 0; v < W; ++v)
    total[v] = sums ? V{sums[v].v + V::load(e.bias + v * kLanes).v}.at_least(e.before) : V::fill(0.0f);
  const int64_t at = p.out * e.work.item.channels;
  for (int k = 0; k < e.count; ++k) {
    const Summand& s = e.work.item.summands[k];
    if (!e.resizes || (s.rows.empty() && s.cols.empty())) {
      for (int v = 0; v < W; ++v) total[v].v += load<kFull>(e.same[k] + at + v * kLanes, e.left - v * kLanes).v;
    } else {
      const Corner near = corner(s, e.work.maps[s.map], e.same[k], p);
      for (int v = 0; v < W; ++v) total[v].v += value<kFull>(near, v * kLanes, e.left - v * kLanes).v;
    }
  }
  Element* out = e.out + p.out * e.work.to.channels;
  for (int v = 0; v < W; ++v) {
    total[v] = total[v].at_least(e.after);
    if (kFull) {
      total[v].store(out + v * kLanes);
    } else {
      total[v].store(out + v * kLanes, e.left - v * kLanes);
    }
  }
}

// The same of one vector where the epilogue is plain: in few instructions, since of small convolutions it takes as long as
// the products.
template <bool kSummand, bool kFull>
HRNET_FAST_ISA void finish_plain(V sum, V bias, float low, const Element* same, Element* out, int64_t lanes) {
  V total = {sum.v + bias.v};
  if (kSummand) total.v += load<kFull>(same, lanes).v;
  total = total.at_least(low);
  if (kFull) {
    total.store(out);
  } else {
    total.store(out, lanes);
  }
}

// Begins to fetch what `finish` will read and write at a pixel, while the products are still to be summed.
template <int W>
HRNET_FAST_ISA void fetch_ahead(const Epilogue& e, int64_t pixel) {
  const int64_t at = pixel * e.work.item.channels;  // a convolution writes all channels of its result
  for (int v = 0; v < W; ++v) __builtin_prefetch(e.out + at + v * kLanes, 1);
  if (e.resizes) return;
  for (int k = 0; k < e.count; ++k)
    for (int v = 0; v < W; ++v) __builtin_prefetch(e.same[k] + at + v * kLanes);
}

// Accumulators that stay in registers beside a vector of weights for each block's vector and one input: pixels of a tile
// that is `vectors` wide.
constexpr int tile_pixels(int vectors) { return vectors == 1 ? 12 : (kLanes == 16 ? 24 : 12) / vectors; }

// How many of `count` pixels or tiles are computed at once, at most kWide: each time about as many, since few sums wait for
// one another.
template <int kWide>
int even_width(int64_t count) {
  const int64_t times = std::max<int64_t>(1, (count + kWide - 1) / kWide);
  return int((count + times - 1) / times);
}

// Calls play with the least of 1/6, 2/6 .. 6/6 of kWide that holds `count`, as a constant.
template <int kWide, class Play>
__attribute__((always_inline)) inline void with_width(int count, const Play& play) {
  if (count > kWide * 5 / 6) return play(std::integral_constant<int, kWide>());
  if (count > kWide * 4 / 6) return play(std::integral_constant<int, kWide * 5 / 6>());
  if (count > kWide * 3 / 6) return play(std::integral_constant<int, kWide * 4 / 6>());
  if (count > kWide * 2 / 6) return play(std::integral_constant<int, kWide * 3 / 6>());
  if (count > kWide * 1 / 6) return play(std::integral_constant<int, kWide * 2 / 6>());
  return play(std::integral_constant<int, std::max(1, kWide / 6)>());
}

// Weights are fetched into the second-level cache so many words before they are used: those of a network come from memory.
constexpr int64_t kAhead = 4096;

// sums[p][v] += sum over i of x[p][i] * weights[i][v], `words` of inputs long: the rate of everything depends on it. For
// each word, the weights are loaded once and meet P broadcast inputs: 12 x 2 multiply-adds wait for 14 loads.
template <int P, int W>
HRNET_FAST_ISA void multiply(V (&sums)[P][W], const Word* const (&x)[P], int64_t words, const Word* weights) {
  const Word* end[P];  // counting up to 0 from them takes no register for the bound: P pointers leave few
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) end[p] = x[p] + words;
  const auto step = [&](int64_t i, const Word* weights) __attribute__((always_inline)) {
    V w[W];
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) w[v] = load_words(weights + v * kLanes);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const V input = broadcast(end[p] + i);
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v)  // spread among the products: one after the other they would hold these up
        if (p == v * P / W) __builtin_prefetch(weights + kAhead + v * kLanes, 0, 2);
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) sums[p][v] = plus_products(sums[p][v], input, w[v]);
    }
  };
  int64_t i = -words;
  for (; i <= -2; i += 2, weights += 2 * W * kLanes) {
    __asm__("" : "+r"(i), "+r"(weights));  // or the compiler counts in more ways than there are registers for
    step(i, weights);
    step(i + 1, weights + W * kLanes);
  }
  if (i < 0) step(i, weights);
}

}  // namespace
}  // namespace hrnet_fast
