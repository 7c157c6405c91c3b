// Fours: where at most four output channels are left behind whole vectors, as of 18, 20 or 36, a vector of them would
// be almost empty. Instead, the words of kBeside inputs are multiplied at once with the weights of all four, and their
// sums of kBeside pixels or tiles are put side by side into one vector.
#pragma once

#include "cpu/items/work.h"

namespace hrnet_fast {
namespace {

// Pixels or tiles, four channels of which fill a vector; and words that a vector of fours repeats.
constexpr int kBeside = kLanes / 4;

// So many pixels, tiles or words, or the least number of them whose fours are complete.
template <bool kFours>
int64_t complete(int64_t count) {
  return kFours ? (count + kBeside - 1) / kBeside * kBeside : count;
}

// Words of weights of W vectors of outputs by so many words of inputs, `complete` or all of them.
template <int W, bool kFours>
int64_t weights_of(int64_t words) {
  return (kFours ? words * (W - 1) + (words + kBeside - 1) / kBeside : words * W) * kLanes;
}

// sums[p] += `count` words of inputs by one vector of weights each, beside which inputs would take as long to load as
// to multiply: several are loaded at once. kFours: behind the weights is a vector of fours', whose sums are the last
// ones.
template <int count, int P, int W, bool kFours>
__attribute__((always_inline)) HRNET_FAST_ISA void multiply_at_once(V (&sums)[P][W], const Word* (&x)[P], int64_t i,
                                                                    const Word* weights) {
  static_assert(W == 1 + kFours);
  V w[count];
#pragma GCC unroll 4
  for (int j = 0; j < count; ++j) w[j] = load_words(weights + j * kLanes);
  const V last = kFours ? load_words(weights + count * kLanes) : V::fill(0.0f);
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    const V several = count == kBeside ? repeat(x[p] + i) : repeat(x[p] + i, count);
    if (p < count + kFours) __builtin_prefetch(weights + kAhead + p * kLanes, 0, 2);
#pragma GCC unroll 4
    for (int j = 0; j < count; ++j) {
      // Half of them from there: all by loads, or all by shuffles, would hold up the products.
      const V input = 2 * j < kBeside ? several.spread(j) : broadcast(x[p] + i + j);
      sums[p][0] = plus_products(sums[p][0], input, w[j]);
    }
    if (kFours) sums[p][W - 1] = plus_products(sums[p][W - 1], several, last);
  }
}

// The same of two vectors and fours, whose weights there are registers for only word by word.
template <int count, int P, int W>
__attribute__((always_inline)) HRNET_FAST_ISA void multiply_by_word(V (&sums)[P][W], const Word* (&x)[P], int64_t i,
                                                                    const Word* weights) {
#pragma GCC unroll 4
  for (int j = 0; j < count; ++j, weights += (W - 1) * kLanes) {
    V w[W - 1];
#pragma GCC unroll 4
    for (int v = 0; v < W - 1; ++v) w[v] = load_words(weights + v * kLanes);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const V input = broadcast(x[p] + i + j);
      if (p < W - 1) __builtin_prefetch(weights + kAhead + p * kLanes, 0, 2);
#pragma GCC unroll 4
      for (int v = 0; v < W - 1; ++v) sums[p][v] = plus_products(sums[p][v], input, w[v]);
    }
  }
  const V last = load_words(weights);
  __builtin_prefetch(weights + kAhead, 0, 2);
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    const V several = count == kBeside ? repeat(x[p] + i) : repeat(x[p] + i, count);
    sums[p][W - 1] = plus_products(sums[p][W - 1], several, last);
  }
}

template <int count, int P, int W, bool kFours>
__attribute__((always_inline)) HRNET_FAST_ISA void multiply_words(V (&sums)[P][W], const Word* (&x)[P], int64_t i,
                                                                  const Word* weights) {
  if constexpr (W > 2) {
    multiply_by_word<count, P, W>(sums, x, i, weights);
  } else {
    multiply_at_once<count, P, W, kFours>(sums, x, i, weights);
  }
}

// As `multiply`, of one vector or with fours as the last one. Of each kBeside words, weights are those of the other
// vectors, one word after the other, and a vector [channel][word] of the fours', whose sums are left apart:
// sums[p][W - 1] is [channel][word]. Inlined, or its two callers' sums would pass through memory.
template <int P, int W, bool kFours>
__attribute__((always_inline)) HRNET_FAST_ISA void multiply_several(V (&sums)[P][W], const Word* (&x)[P], int64_t words,
                                                                    const Word* weights) {
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) x[p] += words;
  int64_t i = -words;
  for (; i <= -kBeside; i += kBeside, weights += weights_of<W, kFours>(kBeside)) {
    __asm__("" : "+r"(i), "+r"(weights));  // as in `multiply`
    multiply_words<kBeside, P, W, kFours>(sums, x, i, weights);
  }
  if (i == -1) multiply_words<1, P, W, kFours>(sums, x, i, weights);
  if (i == -2) multiply_words<2, P, W, kFours>(sums, x, i, weights);
  if (i == -3) multiply_words<3, P, W, kFours>(sums, x, i, weights);
}

// The fours of kBeside pixels or tiles side by side, [pixel][channel], from their sums[tile][W - 1], each
// [channel][word].
template <int W>
HRNET_FAST_ISA V sum_fours(const V (*sums)[W]) {
  V apart[kBeside];
#pragma GCC unroll 4
  for (int i = 0; i < kBeside; ++i) apart[i] = sums[i][W - 1];
  return V::sum_fours(apart);
}

// Calls play with a number of pixels or tiles that holds `count` and whose fours are complete, as a constant; at most
// kWide.
template <int kWide, bool kFours, class Play>
__attribute__((always_inline)) inline void with_tile_width(int count, const Play& play) {
  if constexpr (kFours) {
    if (kWide >= 3 * kBeside && count > 2 * kBeside) return play(std::integral_constant<int, 3 * kBeside>());
    if (count > kBeside) return play(std::integral_constant<int, 2 * kBeside>());
    play(std::integral_constant<int, kBeside>());
  } else {
    with_width<kWide>(count, play);
  }
}

// The epilogue of vector `v`, which holds the fours of kBeside pixels side by side, where it is plain.
template <bool kSummand>
struct FoursEpilogue {
  V bias;
  float after;
  int64_t lanes;
  Element* out[kBeside];
  const Element* same[kBeside];

  HRNET_FAST_ISA FoursEpilogue of(const Epilogue& epilogue, int v, const int64_t (&pixels)[kBeside]) {
    FoursEpilogue made;
    const float* biases[kBeside];
    for (int i = 0; i < kBeside; ++i) {
      const int64_t first = pixels[i] * epilogue.work.item.channels + v * kLanes;
      biases[i] = epilogue.bias + v * kLanes;
      made.out[i] = epilogue.out + first;
      made.same[i] = kSummand ? epilogue.same[0] + first : made.out[i];
    }
    made.bias = V::load_fours(biases, 0, 4);
    made.after = epilogue.after;
    made.lanes = epilogue.left - v * kLanes;
    return made;
  }
};

// Stores those of the pixels `at` elements behind them.
template <bool kSummand>
HRNET_FAST_ISA void finish_fours(const FoursEpilogue<kSummand>& e, V sums, int64_t at) {
  V total = {sums.v + e.bias.v};
  if (kSummand) total.v += V::load_fours(e.same, at, e.lanes).v;
  total.at_least(e.after).store_fours(e.out, at, e.lanes);
}

}  // namespace
}  // namespace hrnet_fast
