// Convolution 3x3 of stride 1 by Winograd's minimal filtering, F(m x m, 3x3) (Lavin & Gray 2016, section 4): tiles of
// m x m results come from (m + 2)^2 products of transformed patches and transformed weights.
//
// A unit is a group of tiles by a block of output channels. For a group, all patches are transformed once, into
// [position][tile][channel]; then every block multiplies, position by position, and is transformed back.
//
// Weights come transformed, or as they are (`Item::plain_weights`): then a unit transforms its block's as it goes.
// Either way takes about the same time, but transformed ones are 1.8 to 4 times as many.
#pragma once

#include "cpu/items/winograd_products.h"

namespace hrnet_fast {
namespace {

// The tiles of a map: `down` x `across` an image.
struct Tiling {
  int64_t m, down, across, images;
  Tiling(const Map& map, int64_t m)
      : m(m), down((map.height + m - 1) / m), across((map.width + m - 1) / m), images(map.batch) {}
  int64_t count() const { return images * down * across; }
  Pixel corner(int64_t tile) const {  // its first pixel; `out` is left to who needs it
    const int64_t n = tile / (down * across), rest = tile % (down * across);
    return {n, rest / across * m, rest % across * m, 0};
  }
};

// A vector of a patch's channels, of which [rows][columns] are in the map. kWhole: the patch has all its pixels, and
// the vector all its lanes.
template <int M, bool kWhole>
HRNET_FAST_ISA void transform_vector(const Element* patch, int64_t row, int64_t pixel, int rows, int columns,
                                     int64_t lanes, Element* target, int64_t step) {
  const auto read = [&](int y, int x) __attribute__((always_inline)) {  // beyond the border is nothing: it counts as 0
    const bool inside = kWhole || (y < rows && x < columns);
    return inside ? load<kWhole>(patch + y * row + x * pixel, lanes) : V::fill(0.0f);
  };
  const auto write = [&](int position, V value) __attribute__((always_inline)) {
    __builtin_prefetch(target + position * step + kLanes, 1);
    value.store(target + position * step);
  };
  transform_patch<M>(read, write);
}

// At most four channels, of whole patches side by side. targets: with the zeros behind them that fours may read.
template <int M>
HRNET_FAST_ISA void transform_fours(const Element* const (&patches)[kBeside], int64_t row, int64_t pixel,
                                    int64_t channels, Element* const (&targets)[kBeside], int64_t step) {
  Element* to[kBeside];
  const Element* from[kBeside];
#pragma GCC unroll 4
  for (int i = 0; i < kBeside; ++i) from[i] = patches[i], to[i] = targets[i];
  const auto read = [&](int y, int x)
                        __attribute__((always_inline)) { return V::load_fours(from, y * row + x * pixel, channels); };
  const auto write = [&](int position, V value)
                         __attribute__((always_inline)) { value.store_fours(to, position * step); };
  transform_patch<M>(read, write);
}

// Patches of tiles [first, first + count), into patches[position][tile][padded channels].
template <int M>
HRNET_FAST_ISA void transform_patches(const Work& work, const Tiling& tiling, int64_t first, int64_t count,
                                      Element* patches) {
  constexpr int64_t N = M + 2;
  const Map& from = work.from;
  const int64_t pixel = from.channels, row = from.row(), left = pixel % kLanes, vectors = pixel - left;
  const int64_t padded = left ? vectors + kLanes : vectors, step = step_of<Element>(count, padded);
  const bool few = leaves_few(pixel, kLanes);
  const Element* sources[kBeside];
  Element* targets[kBeside];
  int waiting = 0;  // whole patches whose last channels are still to be transformed
  for (int64_t t = 0; t < count; ++t) {
    const Pixel p = tiling.corner(first + t);
    const Element* const patch = work.data(from) + p.n * from.image() + p.y * row + p.x * pixel;
    Element* const target = patches + t * padded;
    const int rows = int(std::min(N, from.height + 2 - p.y)), columns = int(std::min(N, from.width + 2 - p.x));
    const bool whole = rows == N && columns == N, waits = few && whole;
    for (int64_t c = 0; c < (waits ? vectors : pixel); c += kLanes) {
      if (whole && c < vectors) {
        transform_vector<M, true>(patch + c, row, pixel, N, N, kLanes, target + c, step);
      } else {
        transform_vector<M, false>(patch + c, row, pixel, rows, columns, pixel - c, target + c, step);
      }
    }
    if (!waits) continue;
    sources[waiting] = patch + vectors, targets[waiting] = target + vectors;
    if (++waiting < kBeside) continue;
    transform_fours<M>(sources, row, pixel, left, targets, step);
    waiting = 0;
  }
  for (int i = 0; i < waiting; ++i) transform_vector<M, false>(sources[i], row, pixel, N, N, left, targets[i], step);
}

// Reads a vector of products, at a position after the other.
HRNET_FAST_ISA auto reader(const float* products, int64_t step) {
  return [=](int position) __attribute__((always_inline)) { return V::load(products + position * step); };
}

// Where the results of a tile go, and how many the map has of them.
template <int M>
struct Tile {
  Pixel pixel;
  int64_t rows, columns;
  bool whole() const { return rows == M && columns == M; }
};

// The results of vector `v` of a tile's products where the epilogue is plain and the tile has all its pixels, from
// `pixel` on.
template <int M, bool kSummand, bool kFull>
__attribute__((always_inline)) HRNET_FAST_ISA void finish_whole_tile(const Epilogue& epilogue, int v,
                                                                     const float* products, int64_t step,
                                                                     int64_t pixel) {
  const int64_t channels = epilogue.work.item.channels, row = (epilogue.work.to.width + 2) * channels;
  const int64_t first = pixel * channels + v * kLanes, lanes = epilogue.left - v * kLanes;
  const V bias = V::load(epilogue.bias + v * kLanes);
  Element* const out = epilogue.out + first;
  const Element* const same = kSummand ? epilogue.same[0] + first : out;
  const auto take = [&](int64_t y, const V(&results)[M]) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int x = 0; x < M; ++x) {
      const int64_t at = y * row + x * channels;
      finish_plain<kSummand, kFull>(results[x], bias, epilogue.after, same + at, out + at, lanes);
    }
  };
  transform_result<M>(reader(products, step), M, take);
}

// The same of the fours of tiles side by side.
template <int M, bool kSummand>
HRNET_FAST_ISA void finish_whole_fours(const Epilogue& epilogue, int v, const float* products, int64_t step,
                                       const std::array<Tile<M>, kBeside>& tiles) {
  const int64_t channels = epilogue.work.item.channels, row = (epilogue.work.to.width + 2) * channels;
  int64_t pixels[kBeside];
  for (int i = 0; i < kBeside; ++i) pixels[i] = tiles[i].pixel.out;
  const auto fours = FoursEpilogue<kSummand>::of(epilogue, v, pixels);
  const auto take = [&](int64_t y, const V(&results)[M]) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int x = 0; x < M; ++x) finish_fours(fours, results[x], y * row + x * channels);
  };
  transform_result<M>(reader(products, step), M, take);
}

// The results of vector `v` of any tile.
template <int M, bool kFull>
HRNET_FAST_ISA void finish_any_tile(const Epilogue& epilogue, int v, const float* products, int64_t step,
                                    const Tile<M>& tile) {
  const Epilogue own(epilogue.work, epilogue.c + v * kLanes);
  const auto take = [&](int64_t y, const V(&results)[M]) __attribute__((always_inline)) {
    const Pixel& first = tile.pixel;
    Pixel p = {first.n, first.y + y, first.x, first.out + y * (epilogue.work.to.width + 2)};
    for (int64_t x = 0; x < tile.columns; ++x, ++p.x, ++p.out) finish<1, kFull>(own, &results[x], p);
  };
  transform_result<M>(reader(products, step), tile.rows, take);
}

template <int M>
HRNET_FAST_ISA void finish_tile(const Epilogue& epilogue, int v, const float* products, int64_t step,
                                const Tile<M>& tile) {
  const bool full = epilogue.left >= (v + 1) * kLanes, whole = epilogue.plain && tile.whole();
  const int64_t pixel = tile.pixel.out;
  if (whole && epilogue.count) {
    full ? finish_whole_tile<M, true, true>(epilogue, v, products, step, pixel)
         : finish_whole_tile<M, true, false>(epilogue, v, products, step, pixel);
  } else if (whole) {
    full ? finish_whole_tile<M, false, true>(epilogue, v, products, step, pixel)
         : finish_whole_tile<M, false, false>(epilogue, v, products, step, pixel);
  } else {
    full ? finish_any_tile<M, true>(epilogue, v, products, step, tile)
         : finish_any_tile<M, false>(epilogue, v, products, step, tile);
  }
}

// The results of tiles [first, first + count) from their products, of channels c and on.
template <int M, int W, bool kFours>
HRNET_FAST_ISA void transform_results(const Work& work, const Tiling& tiling, int64_t first, int64_t count,
                                      const float* products, int64_t c) {
  constexpr int kTiles = kFours ? kBeside : 1, kWhole = kFours ? W - 1 : W;  // at once; vectors of one tile alone
  const int64_t step = step_of<float>(count, W * kLanes), width = work.to.width + 2;
  const Epilogue epilogue(work, c);
  for (int64_t t = 0; t < count; t += kTiles, products += kTiles * W * kLanes) {
    const int64_t tiles = std::min<int64_t>(kTiles, count - t);
    std::array<Tile<M>, kTiles> own;
    bool whole = epilogue.plain && tiles == kTiles;
    for (int64_t i = 0; i < tiles; ++i) {
      Pixel p = tiling.corner(first + t + i);
      p.out = work.place(p.n, p.y, p.x);
      own[i] = {p, std::min<int64_t>(M, work.to.height - p.y), std::min<int64_t>(M, work.to.width - p.x)};
      whole = whole && own[i].whole();
      for (int64_t y = 0; y < own[i].rows; ++y)
        for (int64_t x = 0; x < own[i].columns; ++x) fetch_ahead<W>(epilogue, p.out + y * width + x);
      for (int v = 0; v < kWhole; ++v) finish_tile(epilogue, v, products + (i * W + v) * kLanes, step, own[i]);
    }
    if constexpr (kFours) {
      const float* const last = products + kWhole * kLanes;
      if (!whole) {  // of what is read, the first lanes are the tile's
        for (int64_t i = 0; i < tiles; ++i) finish_tile(epilogue, kWhole, last + 4 * i, step, own[i]);
      } else if (epilogue.count) {
        finish_whole_fours<M, true>(epilogue, kWhole, last, step, own);
      } else {
        finish_whole_fours<M, false>(epilogue, kWhole, last, step, own);
      }
    }
  }
}

// The results of one block of output channels, from c on, from transformed patches.
template <int M, int W>
HRNET_FAST_ISA void convolve_block(const Work& work, const Tiling& tiling, int64_t first, int64_t count,
                                   const Element* patches, const Word* weights, Word* row, float* products, int64_t c) {
  const int64_t channels = work.from.channels;
  if constexpr (W > 1 && kBeside > 1) {
    if (c + W * kLanes > work.item.channels && ends_in_fours(work.item, kLanes)) {
      multiply_block<M, W, true>(patches, count, channels, weights, row, products);
      return transform_results<M, W, true>(work, tiling, first, count, products, c);
    }
  }
  multiply_block<M, W, false>(patches, count, channels, weights, row, products);
  transform_results<M, W, false>(work, tiling, first, count, products, c);
}

template <int M>
HRNET_FAST_ISA void convolve_winograd(const Work& work, int64_t begin, int64_t end) {
  constexpr int64_t kPositions = (M + 2) * (M + 2);
  const Item& item = work.item;
  const Tiling tiling(work.to, M);
  const int64_t tiles = tiling.count(), channels = work.from.channels, vectors = (item.channels + kLanes - 1) / kLanes;
  const int64_t padded = (channels + kLanes - 1) / kLanes * kLanes, blocks = block_count(vectors);
  const int64_t words = (channels + kPerWord - 1) / kPerWord;
  const int64_t per_output = item.plain_weights ? 9 * words : kPositions * words;  // words of weights
  static thread_local Scratch scratch[3];
  Word* row = item.plain_weights ? scratch[2].of<Word>((M + 2) * step_of<Word>(words, 3 * kLanes)) : nullptr;
  for (int64_t unit = begin; unit < end;) {
    const int64_t first = unit / blocks * item.group, count = std::min(item.group, tiles - first);
    auto* patches = scratch[0].of<Element>(kPositions * step_of<Element>(count, padded));
    auto* products = scratch[1].of<float>(kPositions * step_of<float>(count, 3 * kLanes));
    transform_patches<M>(work, tiling, first, count, patches);
    const int64_t stop = std::min(end, (unit / blocks + 1) * blocks);
    for (; unit < stop; ++unit) {
      const int64_t b = unit % blocks, c = 2 * kLanes * b;
      const Word* weights = work.weights() + per_output * c;
      switch (block_vectors(vectors, 2 * b)) {
        case 1: convolve_block<M, 1>(work, tiling, first, count, patches, weights, row, products, c); break;
        case 2: convolve_block<M, 2>(work, tiling, first, count, patches, weights, row, products, c); break;
        default: convolve_block<M, 3>(work, tiling, first, count, patches, weights, row, products, c);
      }
    }
  }
}

}  // namespace
}  // namespace hrnet_fast
