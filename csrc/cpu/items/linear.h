// A 1x1 convolution of maps of one pixel, which is a linear layer. Its long sums would err more than torch's in one
// accumulator: they are made of sums of 128 products, of which several grow side by side.
#pragma once

#include "cpu/direct_units.h"
#include "cpu/items/work.h"

namespace hrnet_fast {
namespace {

inline bool is_linear(const Work& work) {
  return work.to.height == 1 && work.to.width == 1 && work.item.winograd == 0 && work.item.taps.size() == 1 &&
         work.item.tap_length == work.from.channels;
}

// total[v] += sum over i of x[i] * weights[i][v], `count` words long.
template <int W>
HRNET_FAST_ISA void add_products(V (&total)[W], const Word* x, int64_t count, const Word* weights) {
  constexpr int kParts = kSums / W / 2;
  V sums[kParts][W];
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) sums[p][v] = V::fill(0.0f);
  int64_t i = 0;
  for (; i + kParts <= count; i += kParts) {
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) {
      const V input = broadcast(x + i + p);
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v, weights += kLanes) {
        __builtin_prefetch(weights + kAhead, 0, 2);
        sums[p][v] = plus_products(sums[p][v], input, load_words(weights));
      }
    }
  }
  for (; i < count; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v, weights += kLanes)
      sums[0][v] = plus_products(sums[0][v], broadcast(x + i), load_words(weights));
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) total[v].v += sums[p][v].v;
}

// One image by W vectors of outputs.
template <int W>
HRNET_FAST_ISA void weigh(const Work& work, const Epilogue& epilogue, const Pixel& pixel, const Word* weights) {
  constexpr int64_t kChunk = 128 / kPerWord;
  const Word* x = words_of(work.source(pixel) + work.item.taps[0]);
  const int64_t words = work.item.tap_words;
  V total[W];
  for (int v = 0; v < W; ++v) total[v] = V::fill(0.0f);
  for (int64_t i = 0; i < words; i += kChunk)
    add_products<W>(total, x + i, std::min(kChunk, words - i), weights + i * W * kLanes);
  W* kLanes <= epilogue.left ? finish<W, true>(epilogue, total, pixel) : finish<W, false>(epilogue, total, pixel);
}

// Units as those of a direct convolution.
HRNET_FAST_ISA void weigh_images(const Work& work, int64_t begin, int64_t end) {
  const DirectUnits units(work.item, work.maps, kLanes);
  for (; begin < end; ++begin) {
    const DirectUnits::Unit unit = units.at(begin);
    const int64_t first = unit.group * kUnit, stop = std::min(units.pixels, first + kUnit);
    const Word* weights = work.weights() + 2 * unit.block * units.per_vector;
    const Epilogue epilogue(work, 2 * kLanes * unit.block);
    for (int64_t image = first; image < stop; ++image) {
      const Pixel pixel = work.pixel(image);
      switch (block_vectors(units.vectors, 2 * unit.block)) {
        case 1: weigh<1>(work, epilogue, pixel, weights); break;
        case 2: weigh<2>(work, epilogue, pixel, weights); break;
        default: weigh<3>(work, epilogue, pixel, weights);
      }
    }
  }
}

}  // namespace
}  // namespace hrnet_fast
