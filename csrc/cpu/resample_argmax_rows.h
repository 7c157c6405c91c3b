// The rows of a ResampleArgmax, once for every instruction set: include after cpu/isa/vec_<isa>.h.
// A tile of columns goes down the rows. Of each map it keeps the last two rows brought to the inner width, and the last
// four inner rows, exponentiated; a row of sums is a blend of those, down and then across, and its argmax the labels.
#pragma once

#include "cpu/blend_lanes.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kColumns = 128;  // of a tile: with fewer, the inner columns that neighbours both compute weigh more

// Rows that stay until their room is needed.
struct Kept {
  float* rows[kMaxTaps];
  int64_t held[kMaxTaps];  // their numbers, or -1
  int room;
};

// One map under one tile of columns.
struct Tile {
  const Resample* resample;
  int64_t stride;                 // inner columns that are kept, in whole vectors; 0 if the map does not reach the tile
  int64_t first_source, sources;  // the map's own columns under them
  Across inner, outer;
  std::vector<float> values;
  float* source;  // [channels, sources]
  float* blend;   // [channels, stride]
  Kept wide;      // rows of the map, [channels, stride]
  Kept exps;      // inner rows, [channels, stride]
};

// True if row `number` is in `slot`; else `slot` is a place whose row is none of those `needed`, and now the row's own.
HRNET_FAST_ISA bool find_row(Kept& kept, int64_t number, const int32_t* needed, int count, int& slot) {
  for (slot = 0; slot < kept.room; ++slot)
    if (kept.held[slot] == number) return true;
  for (slot = 0; slot < kept.room; ++slot)
    if (std::find(needed, needed + count, kept.held[slot]) == needed + count) break;
  kept.held[slot] = number;
  return false;
}

HRNET_FAST_ISA void place_tile(Tile& tile, int64_t begin, int64_t width, int64_t channels) {
  const Resample& r = *tile.resample;
  int64_t low = INT64_MAX, high = -1;
  for (int64_t x = begin; x < begin + width; ++x)
    for (int t = 0; t < r.cols[x].count; ++t) {
      low = std::min<int64_t>(low, r.cols[x].index[t]);
      high = std::max<int64_t>(high, r.cols[x].index[t]);
    }
  tile.stride = 0;
  if (high < 0) return;
  tile.stride = (high - low + kLanes) / kLanes * kLanes;
  tile.first_source = r.inner_cols[low].lo;
  tile.sources = r.inner_cols[high].hi - tile.first_source + 1;
  plan_across(tile.outer, width, low, [&](int64_t i) { return r.cols[begin + i]; });
  plan_across(tile.inner, tile.stride, tile.first_source, [&](int64_t i) {
    const Tap<float> tap = r.inner_cols[std::min(low + i, high)];
    return Blend{{int32_t(tap.lo), int32_t(tap.hi)}, {1 - tap.weight, tap.weight}, 2};
  });
  const int64_t row = channels * tile.stride, past = 2 * kLanes;  // what plan_across reads beyond
  tile.wide.room = 2, tile.exps.room = kMaxTaps;
  tile.values.assign((3 + kMaxTaps) * row + channels * tile.sources + past, 0.0f);
  float* next = tile.values.data();
  for (int i = 0; i < 2; ++i, next += row) tile.wide.rows[i] = next;
  for (int i = 0; i < kMaxTaps; ++i, next += row) tile.exps.rows[i] = next;
  tile.blend = next, tile.source = next + row;
}

// Row `number` of the map at the tile's inner columns; row `other` stays.
template <class T>
HRNET_FAST_ISA const float* wide_row(Tile& tile, const T* image, int64_t number, int64_t other, int64_t channels) {
  const int32_t needed = int32_t(other);
  int slot;
  if (find_row(tile.wide, number, &needed, 1, slot)) return tile.wide.rows[slot];
  const Term& map = tile.resample->map;
  const T* row = image + number * map.stride_h + tile.first_source * map.stride_w;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < tile.sources; ++i)
      tile.source[c * tile.sources + i] = load(row + c * map.stride_c + i * map.stride_w);
  across<false>(tile.wide.rows[slot], tile.stride, tile.source, tile.sources, channels, tile.inner);
  return tile.wide.rows[slot];
}

HRNET_FAST_ISA void inner_row(float* target, const float* lo, const float* hi, float weight, int64_t size, bool exp,
                              float shift) {
  for (int64_t i = 0; i < size; i += kLanes) {
    Floats value = multiply_add(lanes_at(lo + i) * (1 - weight), lanes_at(hi + i), Floats{} + weight);
    if (exp) value = exponential(value - shift);
    *reinterpret_cast<Floats*>(target + i) = value;
  }
}

// sums [channels, kColumns] += the map's part of label row y of image n.
template <class T>
HRNET_FAST_ISA void add_map(float* sums, Tile& tile, const ResampleArgmax& p, int64_t n, int64_t y) {
  const Resample& r = *tile.resample;
  const Blend& blend = r.rows[y];
  if (tile.stride == 0 || blend.count == 0) return;
  const T* image = static_cast<const T*>(r.map.data) + n * r.map.stride_n;
  const int64_t size = p.channels * tile.stride;
  const bool exp = p.shifts != nullptr;
  const float* rows[kMaxTaps];
  for (int t = 0; t < blend.count; ++t) {
    int slot;
    if (!find_row(tile.exps, blend.index[t], blend.index, blend.count, slot)) {
      const Tap<float> tap = r.inner_rows[blend.index[t]];
      const float* lo = wide_row(tile, image, tap.lo, tap.hi, p.channels);
      const float* hi = wide_row(tile, image, tap.hi, tap.lo, p.channels);
      inner_row(tile.exps.rows[slot], lo, hi, tap.weight, size, exp, exp ? p.shifts[n] : 0);
    }
    rows[t] = tile.exps.rows[slot];
  }
  const bool whole = blend.count == 1 && blend.weight[0] == 1;
  if (!whole) down(tile.blend, rows, blend.weight, blend.count, size);
  across<true>(sums, kColumns, whole ? rows[0] : tile.blend, tile.stride, p.channels, tile.outer);
}

HRNET_FAST_ISA void label_columns(uint8_t* labels, const float* sums, int64_t channels) {
  constexpr int kVectors = 4;
  static_assert(kColumns % (kVectors * kLanes) == 0, "a tile is whole groups of vectors");
  for (int64_t x = 0; x < kColumns; x += kVectors * kLanes) {
    Floats best[kVectors];
    Ints label[kVectors];
    for (int64_t c = 0; c < channels; ++c)
      for (int v = 0; v < kVectors; ++v)
        take_larger(best[v], label[v], lanes_at(sums + c * kColumns + x + v * kLanes), c);
    for (int v = 0; v < kVectors; ++v)
      *reinterpret_cast<Bytes*>(labels + x + v * kLanes) = __builtin_convertvector(label[v], Bytes);
  }
}

template <class T>
HRNET_FAST_ISA void resample_rows(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end) {
  std::vector<Tile> tiles(p.count);
  std::vector<float> sums(p.channels * kColumns);
  for (int64_t k = 0; k < p.count; ++k) tiles[k].resample = maps + k;
  for (int64_t x = 0; x < p.width; x += kColumns) {
    const int64_t width = std::min(kColumns, p.width - x);
    for (Tile& tile : tiles) place_tile(tile, x, width, p.channels);
    int64_t image_of_tiles = -1;
    for (int64_t r = begin; r < end; ++r) {
      const int64_t n = r / p.height;
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (Tile& tile : tiles) {
        if (n != image_of_tiles)
          for (Kept* kept : {&tile.wide, &tile.exps}) std::fill(kept->held, kept->held + kMaxTaps, -1);
        add_map<T>(sums.data(), tile, p, n, r % p.height);
      }
      image_of_tiles = n;
      uint8_t labels[kColumns];
      label_columns(labels, sums.data(), p.channels);
      std::copy(labels, labels + width, p.labels + r * p.width + x);
    }
  }
}

HRNET_FAST_ISA void resample_rows_of_any(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end) {
  switch (p.dtype) {
    case Dtype::bf16: return resample_rows<bf16_t>(p, maps, begin, end);
    case Dtype::f16: return resample_rows<f16_t>(p, maps, begin, end);
    default: return resample_rows<float>(p, maps, begin, end);
  }
}

}  // namespace
}  // namespace hrnet_fast
