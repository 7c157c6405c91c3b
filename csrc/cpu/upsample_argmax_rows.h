// The rows of an UpsampleArgmax, once for every instruction set: include after cpu/isa/vec_<isa>.h.
// A tile of kTile columns goes down the rows. Each source row is brought to the tile's columns once, and kept for as
// long as output rows lie beside it; an output row is then a walk over the classes with two multiply-adds a value.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/lanes.h"
#include "cpu/upsample_argmax.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kTile = 64;

// Where the columns of a tile lie in one map: offsets from column `first`, of `span` columns.
struct TileCols {
  int64_t first, span;
  int32_t lo[kTile], hi[kTile];
  float weight[kTile];
};

// Two rows of one map at the tile's columns.
struct TileRows {
  TileCols cols;
  float* rows[2];   // each [channels, kTile]
  int64_t held[2];  // their numbers in the map, or -1
};

HRNET_FAST_ISA void place_tile(TileCols& cols, const Tap<float>* taps, int64_t begin, int64_t width) {
  cols.first = taps[begin].lo;
  cols.span = taps[begin + width - 1].hi - cols.first + 1;
  for (int64_t i = 0; i < kTile; ++i) {
    const Tap<float> tap = taps[begin + std::min(i, width - 1)];  // columns past the last one repeat it
    cols.lo[i] = int32_t(tap.lo - cols.first), cols.hi[i] = int32_t(tap.hi - cols.first), cols.weight[i] = tap.weight;
  }
}

template <class T>
HRNET_FAST_ISA void expand_row(float* target, float* source, const Term& map, const T* row, const TileCols& cols,
                               int64_t channels) {
  for (int64_t c = 0; c < channels; ++c, target += kTile) {
    const T* values = row + c * map.stride_c + cols.first * map.stride_w;
    for (int64_t i = 0; i < cols.span; ++i) source[i] = load(values + i * map.stride_w);
    for (int64_t i = 0; i < kTile; ++i)
      target[i] = (1 - cols.weight[i]) * source[cols.lo[i]] + cols.weight[i] * source[cols.hi[i]];
  }
}

// Row `number` of the map at the tile's columns; it takes the place of the row that is not `other`.
template <class T>
HRNET_FAST_ISA const float* tile_row(TileRows& tile, float* source, const Term& map, const T* image, int64_t number,
                                     int64_t other, int64_t channels) {
  if (tile.held[0] == number) return tile.rows[0];
  if (tile.held[1] == number) return tile.rows[1];
  const int slot = tile.held[0] == other ? 1 : 0;
  expand_row(tile.rows[slot], source, map, image + number * map.stride_h, tile.cols, channels);
  tile.held[slot] = number;
  return tile.rows[slot];
}

// One map along one output row: value = lo_weight * lo + hi_weight * hi.
struct RowPair {
  const float *lo, *hi;  // each [channels, kTile]
  float lo_weight, hi_weight;
};

HRNET_FAST_ISA void label_tile(uint8_t* labels, const RowPair* pairs, int count, int64_t channels) {
  constexpr int kVectors = 4;
  static_assert(kTile % (kVectors * kLanes) == 0, "a tile is whole groups of vectors");
  for (int64_t x = 0; x < kTile; x += kVectors * kLanes) {
    Floats best[kVectors];
    Ints label[kVectors];
    for (int64_t c = 0; c < channels; ++c) {
      Floats sums[kVectors];
      for (int v = 0; v < kVectors; ++v) sums[v] = Floats{};
      for (int k = 0; k < count; ++k) {
        const float *lo = pairs[k].lo + c * kTile + x, *hi = pairs[k].hi + c * kTile + x;
        for (int v = 0; v < kVectors; ++v) {
          const Floats a = *reinterpret_cast<const Floats*>(lo + v * kLanes);
          const Floats b = *reinterpret_cast<const Floats*>(hi + v * kLanes);
          sums[v] += pairs[k].lo_weight * a;
          sums[v] += pairs[k].hi_weight * b;
        }
      }
      for (int v = 0; v < kVectors; ++v) take_larger(best[v], label[v], sums[v], c);
    }
    for (int v = 0; v < kVectors; ++v)
      *reinterpret_cast<Bytes*>(labels + x + v * kLanes) = __builtin_convertvector(label[v], Bytes);
  }
}

template <class T>
HRNET_FAST_ISA void label_rows(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end) {
  const int64_t row_size = p.channels * kTile;
  std::vector<float> rows(2 * p.count * row_size);
  std::vector<float> source;
  TileRows tiles[kMaxTerms];
  for (int64_t x = 0; x < p.width; x += kTile) {
    const int64_t width = std::min(kTile, p.width - x);
    for (int k = 0; k < p.count; ++k) {
      place_tile(tiles[k].cols, taps.cols[k], x, width);
      if (int64_t(source.size()) < tiles[k].cols.span) source.resize(tiles[k].cols.span);
      for (int i = 0; i < 2; ++i) tiles[k].rows[i] = rows.data() + (2 * k + i) * row_size;
    }
    int64_t image_of_tiles = -1;
    for (int64_t r = begin; r < end; ++r) {
      const int64_t n = r / p.height, y = r % p.height;
      RowPair pairs[kMaxTerms];
      for (int k = 0; k < p.count; ++k) {
        if (n != image_of_tiles) tiles[k].held[0] = tiles[k].held[1] = -1;
        const Term& map = p.maps[k];
        const T* image = static_cast<const T*>(map.data) + n * map.stride_n;
        const Tap<float> tap = taps.rows[k][y];
        const float* lo = tile_row(tiles[k], source.data(), map, image, tap.lo, tap.hi, p.channels);
        const float* hi = tile_row(tiles[k], source.data(), map, image, tap.hi, tap.lo, p.channels);
        pairs[k] = {lo, hi, p.weights[k] * (1 - tap.weight), p.weights[k] * tap.weight};
      }
      image_of_tiles = n;
      uint8_t labels[kTile];
      label_tile(labels, pairs, p.count, p.channels);
      std::copy(labels, labels + width, p.labels + r * p.width + x);
    }
  }
}

HRNET_FAST_ISA void label_rows_of_any(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end) {
  switch (p.dtype) {
    case Dtype::bf16: return label_rows<bf16_t>(p, taps, begin, end);
    case Dtype::f16: return label_rows<f16_t>(p, taps, begin, end);
    default: return label_rows<float>(p, taps, begin, end);
  }
}

}  // namespace
}  // namespace hrnet_fast
