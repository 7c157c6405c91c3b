// Direct convolution with every accumulator of a tile in a register: pixels of the result by vectors of its channels.
#pragma once

#include "cpu/direct_units.h"
#include "cpu/items/fours.h"

namespace hrnet_fast {
namespace {

// The epilogue of a tile where it is plain, from the registers that the sums are in. The fours of kBeside pixels are
// the last vector of the first of them.
template <int P, int W, bool kFours, bool kSummand, bool kFull>
__attribute__((always_inline)) HRNET_FAST_ISA void finish_tile(const Epilogue& epilogue, const V (&sums)[P][W],
                                                               const int64_t (&places)[P], int count) {
  constexpr int kWhole = W - 1;
  V bias[W];
#pragma GCC unroll 4
  for (int v = 0; v < W; ++v) bias[v] = V::load(epilogue.bias + v * kLanes);
  const Element* const same = kSummand ? epilogue.same[0] : epilogue.out;
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    if (p >= count) break;
    int64_t at = places[p] * epilogue.work.item.channels;
#pragma GCC unroll 4
    for (int v = 0; v < kWhole; ++v, at += kLanes)
      finish_plain<kSummand, true>(sums[p][v], bias[v], epilogue.after, same + at, epilogue.out + at, kLanes);
    if constexpr (!kFours) {
      finish_plain<kSummand, kFull>(sums[p][kWhole], bias[kWhole], epilogue.after, same + at, epilogue.out + at,
                                    epilogue.left - kWhole * kLanes);
    } else if (p % kBeside == 0) {  // past the end the last pixel is stored again, which is its own neighbour here
      int64_t pixels[kBeside];
      for (int i = 0; i < kBeside; ++i) pixels[i] = places[p + i];
      finish_fours(FoursEpilogue<kSummand>::of(epilogue, kWhole, pixels), sums[p][kWhole], 0);
    }
  }
}

// Any epilogue of `count` pixels from `first` on, of sums [pixel][W].
template <int W, bool kFull>
HRNET_FAST_ISA void finish_pixels(const Epilogue& epilogue, const V* sums, int64_t first, int count) {
  Pixel pixel = epilogue.work.pixel(first);
  for (int p = 0; p < count; ++p, sums += W, epilogue.work.advance(pixel)) finish<W, kFull>(epilogue, sums, pixel);
}

// Where a pixel of the result lies among the bordered ones, and the input that its taps count from.
struct Place {
  int64_t out;
  const Element* in;
};

// Those of `count` pixels from `first` on.
HRNET_FAST_ISA void find_places(const Work& work, int64_t first, int64_t count, Place* places) {
  Pixel p = work.pixel(first);
  const Element* in = work.source(p);
  const int64_t step = work.item.stride_w * work.from.channels;
  for (int64_t i = 0; i < count; ++i, in += step) {
    if (p.x == work.to.width) work.wrap(p), in = work.source(p);
    places[i] = {p.out, in};
    ++p.x, ++p.out;
  }
}

// Moves sums to those in memory, and begins them anew. kMore: there are some already.
template <int P, int W, bool kMore>
__attribute__((always_inline)) HRNET_FAST_ISA void put_aside(V (&before)[P][W], V (&sums)[P][W]) {
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) {
      before[p][v] = kMore ? V{before[p][v].v + sums[p][v].v} : sums[p][v];
      sums[p][v] = V::fill(0.0f);
    }
}

// Of the fours of kBeside pixels, which are the last vector of the first of them, each pixel's own to it.
template <int P, int W>
HRNET_FAST_ISA void move_fours_apart(V (&sums)[P][W]) {
  float fours[2 * kLanes] = {};
  for (int p = 0; p < P; ++p) {
    if (p % kBeside == 0) sums[p][W - 1].store(fours);
    sums[p][W - 1] = V::load(fours + 4 * (p % kBeside));  // of which the first lanes are the pixel's
  }
}

// `count` <= P pixels from `first` on, which lie at `at`, by W vectors of output channels.
template <int P, int W, bool kFours>
HRNET_FAST_ISA void tile(const Work& work, const Epilogue& epilogue, int64_t first, const Place* at, int count,
                         const Word* weights) {
  const Item& item = work.item;
  const bool full = !kFours && epilogue.left >= W * kLanes;
  const int64_t words = item.tap_words;
  int64_t places[P];
  const Element* start[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {  // past the end the last pixel is computed again, and not stored
    const Place& own = at[std::min(p, count - 1)];
    places[p] = own.out;
    start[p] = own.in;
    fetch_ahead<W>(epilogue, own.out);
  }
  V sums[P][W];  // every loop over them is unrolled, or the compiler would keep them in memory
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) sums[p][v] = V::fill(0.0f);
  V before[P][W];     // sums of the products so far, in memory, where there are many
  int64_t since = 0;  // words whose products `sums` holds
  bool any = false;
  for (const int64_t tap : item.taps) {
    for (int64_t first = 0; first < words; first += kLong) {
      if (since >= kLong) {
        any ? put_aside<P, W, true>(before, sums) : put_aside<P, W, false>(before, sums);
        any = true, since = 0;
      }
      const int64_t count = std::min(kLong, words - first);
      const Word* x[P];
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) x[p] = words_of(start[p] + tap) + first;
      if constexpr (kFours) {
        multiply_several<P, W, true>(sums, x, count, weights);
      } else {
        multiply<P, W>(sums, x, count, weights);
      }
      weights += weights_of<W, kFours>(count), since += count;
    }
  }
  if (any) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) sums[p][v].v += before[p][v].v;
  }
  if constexpr (kFours) {
#pragma GCC unroll 16
    for (int p = 0; p < P; p += kBeside) sums[p][W - 1] = sum_fours<W>(&sums[p]);
  }
  if (epilogue.plain && epilogue.count) {
    full ? finish_tile<P, W, kFours, true, true>(epilogue, sums, places, count)
         : finish_tile<P, W, kFours, true, false>(epilogue, sums, places, count);
  } else if (epilogue.plain) {
    full ? finish_tile<P, W, kFours, false, true>(epilogue, sums, places, count)
         : finish_tile<P, W, kFours, false, false>(epilogue, sums, places, count);
  } else {
    V done[P][W];  // in memory, as a loop over pixels that is not unrolled wants them
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) done[p][v] = sums[p][v];
    if constexpr (kFours) move_fours_apart<P, W>(done);
    full ? finish_pixels<W, true>(epilogue, done[0], first, count)
         : finish_pixels<W, false>(epilogue, done[0], first, count);
  }
}

// `count` pixels from `first` on of one block, tile by tile.
template <int W, bool kFours>
HRNET_FAST_ISA void block(const Work& work, int64_t first, const Place* at, int64_t count, int64_t c,
                          const Word* weights) {
  constexpr int kWide = tile_pixels(W);
  const Epilogue epilogue(work, c);
  const int even = int(complete<kFours>(even_width<kWide>(count)));
  while (count > 0) {
    const int now = int(std::min<int64_t>(even, count));
    const auto play = [&](auto width) { tile<width, W, kFours>(work, epilogue, first, at, now, weights); };
    with_tile_width<kWide, kFours>(now, play);
    count -= now, first += now, at += now;
  }
}

// A block from channel c on, with fours where it ends in them.
template <int W>
HRNET_FAST_ISA void convolve_block(const Work& work, int64_t first, const Place* at, int64_t count, int64_t c,
                                   const Word* weights) {
  if constexpr (W > 1 && kBeside > 1) {
    if (c + W * kLanes > work.item.channels && ends_in_fours(work.item, kLanes))
      return block<W, true>(work, first, at, count, c, weights);
  }
  block<W, false>(work, first, at, count, c, weights);
}

HRNET_FAST_ISA void convolve(const Work& work, int64_t begin, int64_t end) {
  const DirectUnits units(work.item, work.maps, kLanes);
  static thread_local Scratch scratch;
  Place* places = nullptr;
  int64_t found = -1, last = -1;  // the pixels whose places are found, which every block has
  while (begin < end) {
    const DirectUnits::Unit unit = units.at(begin);
    const int64_t run = std::min(end - begin, unit.follow);
    const int64_t first = unit.group * kUnit, count = std::min(units.pixels - first, run * kUnit);
    const int64_t c = 2 * kLanes * unit.block;
    const Word* weights = work.weights() + 2 * unit.block * units.per_vector;
    if (first != found || first + count > last) {
      found = first, last = first + count;
      places = scratch.of<Place>(count);
      find_places(work, first, count, places);
    }
    switch (block_vectors(units.vectors, 2 * unit.block)) {
      case 1: convolve_block<1>(work, first, places, count, c, weights); break;
      case 2: convolve_block<2>(work, first, places, count, c, weights); break;
      default: convolve_block<3>(work, first, places, count, c, weights);
    }
    begin += run;
  }
}

}  // namespace
}  // namespace hrnet_fast
