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

// A thread's own memory, kept from call to call.
class Scratch {
 public:
  template <class T>
  T* of(int64_t count) {
    const int64_t bytes = (count * int64_t(sizeof(T)) + 63) / 64 * 64;
    if (bytes > bytes_) {
      std::free(data_);
      data_ = nullptr, bytes_ = 0;  // also if there is no memory
      data_ = std::aligned_alloc(64, bytes);
      if (data_ == nullptr) throw std::bad_alloc();
      bytes_ = bytes;
    }
    return static_cast<T*>(data_);
  }
  ~Scratch() { std::free(data_); }

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

  int64_t place(int64_t n, int64_t y, int64_t x) const {
    return (n * (to.height + 2) + y + 1) * (to.width + 2) + x + 1;
  }

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

// A summand of another size along one row of the sum: the rows above and below, from their first pixels on.
struct Rows {
  const Element *low, *high;
  float y;                 // weight of `high`
  const Tap<float>* cols;  // null where the width is the sum's
  int64_t channels;
};

HRNET_FAST_ISA Rows rows_of(const Summand& summand, const Map& map, const Element* data, const Pixel& p) {
  const Tap<float> row = summand.rows.empty() ? Tap<float>{p.y, p.y, 0.0f} : summand.rows[p.y];
  return {data + map.from_first(p.n, row.lo, 0), data + map.from_first(p.n, row.hi, 0), row.weight,
          summand.cols.empty() ? nullptr : summand.cols.data(), map.channels};
}

// W vectors of it at one pixel, added to `total`; left: channels from the first vector on.
template <int W, bool kFull>
HRNET_FAST_ISA void add_resized(V (&total)[W], const Rows& rows, int64_t x, int64_t left) {
  const Tap<float> col = rows.cols == nullptr ? Tap<float>{x, x, 0.0f} : rows.cols[x];
  const int64_t lo = col.lo * rows.channels, hi = col.hi * rows.channels;
  if (rows.low == rows.high && lo == hi) {
    for (int v = 0; v < W; ++v) total[v].v += load<kFull>(rows.low + lo + v * kLanes, left - v * kLanes).v;
    return;
  }
  const V wx = V::fill(col.weight), wy = V::fill(rows.y), ux = V::fill(1.0f - col.weight), uy = V::fill(1.0f - rows.y);
  for (int v = 0; v < W; ++v) {
    const auto at = [&](const Element* row, int64_t x)
                        __attribute__((always_inline)) { return load<kFull>(row + x + v * kLanes, left - v * kLanes); };
    const V a = at(rows.low, lo), b = at(rows.low, hi), c = at(rows.high, lo), d = at(rows.high, hi);
    const V top = V{ux.v * a.v}.plus(wx, b), bottom = V{ux.v * c.v}.plus(wx, d);
    total[v].v += V{uy.v * top.v}.plus(wy, bottom).v;
  }
}

// What is done with the sums of an item from output channel `c` on, with every address worked out once.
struct Epilogue {
  const Work& work;
  const int64_t c, left;  // the first channel, and how many there are from it on
  const float* const bias = work.item.bias == nullptr ? nullptr : work.item.bias + c;
  Element* const out = work.data(work.to) + work.item.channel + c;
  const Element* same[kMaxTerms];  // first pixels of the summands, which have the item's channels
  int count = 0;
  mutable Rows rows[kMaxTerms];  // of the summands of another size, in the row that begins at pixel `row` of the result
  mutable int64_t row = -1;
  bool resizes = false, plain = false;  // plain: at most one summand, of the result's size, and no ReLU before it
  float before = -INFINITY, after = -INFINITY;  // a ReLU is a maximum with 0 before or after the summands

  Epilogue(const Work& work, int64_t c) : work(work), c(c), left(work.item.channels - c) {
    for (const Summand& s : work.item.summands) {
      resizes |= is_resized(count);
      same[count++] = work.data(work.maps[s.map]) + c;
    }
    if (work.item.relu == Relu::first && count > 0) before = 0.0f;
    if (work.item.relu != Relu::none && before != 0.0f) after = 0.0f;
    plain = !resizes && count <= 1 && before != 0.0f;
  }

  bool is_resized(int k) const { return !work.item.summands[k].rows.empty() || !work.item.summands[k].cols.empty(); }

  void enter_row(const Pixel& p) const {
    if (row == p.out - p.x) return;
    row = p.out - p.x;
    for (int k = 0; k < count; ++k)
      if (is_resized(k)) rows[k] = rows_of(work.item.summands[k], work.maps[work.item.summands[k].map], same[k], p);
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
  if (e.resizes) e.enter_row(p);
  for (int k = 0; k < e.count; ++k) {
    if (e.resizes && e.is_resized(k)) {
      add_resized<W, kFull>(total, e.rows[k], p.x, e.left);
    } else {
      for (int v = 0; v < W; ++v) total[v].v += load<kFull>(e.same[k] + at + v * kLanes, e.left - v * kLanes).v;
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

// The same of one vector where the epilogue is plain: in few instructions, since of small convolutions it takes as long
// as the products.
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

// Accumulators that stay in registers beside a vector of weights for each block's vector and one input; pixels of a
// tile that is `vectors` wide.
constexpr int kSums = kRegisters == 32 ? 24 : 12;
constexpr int tile_pixels(int vectors) { return vectors == 1 ? 12 : kSums / vectors; }

// How many of `count` pixels or tiles are computed at once, at most kWide: each time about as many, since few sums wait
// for one another.
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

// Long sums err with their length: of more words of products than these, partial sums are added up.
constexpr int64_t kLong = 256 / kPerWord;

// Weights are fetched into the second-level cache so many words before they are used: those of a network come from
// memory.
constexpr int64_t kAhead = 4096;

#if defined(__clang__) || defined(__aarch64__)
#define MULTIPLY __attribute__((always_inline)) HRNET_FAST_ISA  // Clang would call it, with all sums in memory
#else
#define MULTIPLY HRNET_FAST_ISA
#endif

// sums[p][v] += sum over i of x[p][i] * weights[i][v], `words` of inputs long, behind which it leaves x: the rate of
// everything depends on it. For each word, the weights are loaded once and meet P broadcast inputs: 12 x 2
// multiply-adds wait for 14 loads.
template <int P, int W>
MULTIPLY void multiply(V (&sums)[P][W], const Word* (&x)[P], int64_t words, const Word* weights) {
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) x[p] += words;  // counting up to 0 takes no register for the bound: P pointers leave few
  const auto step = [&](int64_t i, const Word* weights) __attribute__((always_inline)) {
    V w[W];
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) w[v] = load_words(weights + v * kLanes);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const V input = broadcast(x[p] + i);
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
    int64_t next = i + 1;
#if defined(__aarch64__)
    // Its addresses are a pointer and one register: with i and 1, each would take an addition.
    __asm__("" : "+r"(next));
#endif
    step(next, weights + W * kLanes);
  }
  if (i < 0) step(i, weights);
}

}  // namespace
}  // namespace hrnet_fast
