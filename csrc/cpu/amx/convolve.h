// Convolution on tiles of AMX. Sixteen positions of the result stand against sixteen output channels in one accumulator
// tile, which stays in its register over all taps and channels; four accumulators work at once.
//
// A row of the kernel is one tap: 3 pixels of C channels lie side by side, so 3 * C values go by in steps of 32, and a
// map of 3 or 18 channels wastes little. The last step reads up to 31 values past its tap, into the pixels that follow
// or behind the map into zeros (`ItemKernels::tail`), against weights that are 0. So what is not finite may reach
// results further left than its 3x3 neighbourhood: by one pixel of more than 30 channels, by eight of 3.
//
// Weights are bfloat16 [vector of 16 outputs][tap][step of 32][16 pairs][16 outputs][2], padded with zeros.
#pragma once

#include <algorithm>

#include "cpu/amx/epilogue.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kStep = 32, kTileElements = 512, kTileBytes = 64;
constexpr int64_t kGroup = 4;   // strips of a unit
constexpr int64_t kFewest = 8;  // positions that are finished at once

// Positions of the result, in strips of 16. Of stride 1, they are the bordered pixels of all images of the input, one
// after another: strips run on over borders, whose results are left out. Else the pixels of one row of the result.
struct Grid {
  const Map &from, &to;
  int64_t stride_h, stride_w, width, height, strips;
  bool flat;

  Grid(const Item& item, const Map& from, const Map& to)
      : from(from), to(to), stride_h(item.stride_h), stride_w(item.stride_w), flat(stride_h == 1 && stride_w == 1) {
    width = flat ? from.width + 2 : (to.width + kStrip - 1) / kStrip * kStrip;
    height = flat ? from.height + 2 : to.height;
    const int64_t last = ((to.batch - 1) * height + to.height - 1) * width + to.width - 1;
    strips = last / kStrip + 1;
  }
};

struct Position {
  int64_t n, y, x;

  static Position of_strip(const Grid& grid, int64_t strip) {
    const int64_t index = strip * kStrip, row = index / grid.width;
    return {row / grid.height, row % grid.height, index % grid.width};
  }
  bool is_result(const Grid& grid) const { return x < grid.to.width && y < grid.to.height && n < grid.to.batch; }
  int64_t input(const Grid& grid) const { return grid.from.at(n, y * grid.stride_h - 1, x * grid.stride_w - 1); }
  void advance(const Grid& grid, int64_t count) {  // within a row, or to the start of the next
    x += count;
    if (x < grid.width) return;
    x = 0;
    if (++y < grid.height) return;
    y = 0;
    ++n;
  }
};

// A block that has left its tiles: its epilogue runs while the tiles of the next block multiply.
struct Pending {
  const Work& work;
  const Grid& grid;
  Position place = {};
  int64_t vectors = 0, channel = 0, row = 0, rows = 0;
  alignas(64) float sums[4][kStrip * kLanes];  // [strip][vector of outputs][position][output]
};

HRNET_FAST_ISA void finish_rows(Pending& p, int64_t count) {
  const Map& to = p.grid.to;
  for (const int64_t end = std::min(p.rows, p.row + count); p.row < end;) {
    const int64_t in_strip = std::min(end - p.row, kStrip - p.row % kStrip);
    const int64_t now = std::min(in_strip, p.grid.width - p.place.x);
    const Pixels pixels = {p.place.n, p.place.y, p.place.x, std::min(now, to.width - p.place.x), p.channel};
    if (p.place.is_result(p.grid)) {
      const float* sums = p.sums[p.row / kStrip * p.vectors] + p.row % kStrip * kLanes;
      const int64_t left = p.work.item.channels - p.channel;
      if (p.vectors == 1) {
        left >= kLanes ? finish<1, true>(p.work, sums, pixels) : finish<1, false>(p.work, sums, pixels);
      } else {
        left >= 2 * kLanes ? finish<2, true>(p.work, sums, pixels) : finish<2, false>(p.work, sums, pixels);
      }
    }
    p.row += now;
    p.place.advance(p.grid, now);
  }
}

// What P strips from `strip` on, of which `strips` exist, by W vectors of outputs from `vector` on have summed up.
template <int P, int W>
HRNET_FAST_ISA void take(Pending& p, int64_t strip, int64_t strips, int64_t vector) {
  finish_rows(p, p.rows);
  tile_store<0>(p.sums[0], kTileBytes);
  if constexpr (P * W > 1) tile_store<1>(p.sums[1], kTileBytes);
  if constexpr (P * W > 2) {
    tile_store<2>(p.sums[2], kTileBytes);
    tile_store<3>(p.sums[3], kTileBytes);
  }
  p.place = Position::of_strip(p.grid, strip);
  p.vectors = W, p.channel = vector * kLanes, p.row = 0, p.rows = strips * kStrip;
}

template <int p, int W>
HRNET_FAST_ISA void multiply_strip(const bf16_t* from, int64_t stride) {
  tile_load<4 + p % 2>(from, stride);
  tile_multiply<p * W, 4 + p % 2, 6>();
  if constexpr (W == 2) tile_multiply<p * W + 1, 4 + p % 2, 7>();
}

// Sums up those P strips by W vectors of outputs; P * W accumulators, at most 4.
template <int P, int W>
HRNET_FAST_ISA void block(const Work& work, const Grid& grid, int64_t strip, int64_t strips, int64_t vector,
                          Pending& pending) {
  const Item& item = work.item;
  const bf16_t* starts[P];
  for (int p = 0; p < P; ++p)
    starts[p] = work.read(work.from) + Position::of_strip(grid, strip + std::min<int64_t>(p, strips - 1)).input(grid);
  const int64_t steps = (item.tap_length + kStep - 1) / kStep, taps = int64_t(item.taps.size());
  const int64_t rows = std::max(kFewest, (pending.rows + taps * steps - 1) / (taps * steps));
  const int64_t per_vector = taps * steps * kTileElements;
  const int64_t stride = item.stride_w * work.from.channels * int64_t(sizeof(bf16_t));
  const bf16_t* weights = static_cast<const bf16_t*>(item.weights) + vector * per_vector;
  tile_zero<0>();
  if constexpr (P * W > 1) tile_zero<1>();
  if constexpr (P * W > 2) {
    tile_zero<2>();
    tile_zero<3>();
  }
  for (int64_t t = 0; t < taps; ++t)
    for (int64_t k = 0; k < steps; ++k, weights += kTileElements) {
      const int64_t at = item.taps[t] + k * kStep;
      tile_load<6>(weights, kTileBytes);
      if constexpr (W == 2) tile_load<7>(weights + per_vector, kTileBytes);
      multiply_strip<0, W>(starts[0] + at, stride);
      if constexpr (P > 1) multiply_strip<1, W>(starts[1] + at, stride);
      if constexpr (P > 2) {
        multiply_strip<2, W>(starts[2] + at, stride);
        multiply_strip<3, W>(starts[3] + at, stride);
      }
      finish_rows(pending, rows);
    }
  take<P, W>(pending, strip, strips, vector);
}

struct Unit {
  int64_t strip, strips, vector, vectors;  // the first ones, and how many
};

// How an item is cut into units of up to four strips by one block of outputs, two vectors wide; one if its weights are
// heavy: then a tile of weights, from a farther cache, meets four strips instead of two.
struct Cut {
  int64_t strips, vectors, width, blocks, groups;
  int64_t multiplications;  // of tiles, for a strip and a vector of outputs
  bool light;  // weights stay in the cache while strips go by once; else the strips go by again for each block

  Cut(const Item& item, const Grid& grid) : strips(grid.strips) {
    constexpr int64_t kNear = 48 << 10, kFar = 512 << 10;  // bytes of weights
    multiplications = int64_t(item.taps.size()) * ((item.tap_length + kStep - 1) / kStep);
    const int64_t bytes = multiplications * kTileElements * int64_t(sizeof(bf16_t));
    vectors = (item.channels + kLanes - 1) / kLanes;
    width = 2 * bytes > kNear ? 1 : 2;
    blocks = (vectors + width - 1) / width;
    groups = (grid.strips + kGroup - 1) / kGroup;
    light = vectors * bytes <= kFar;
  }

  Unit unit(int64_t index) const {
    const int64_t vector = (light ? index % blocks : index / groups) * width;
    const int64_t strip = (light ? index / blocks : index % groups) * kGroup;
    return {strip, std::min(kGroup, strips - strip), vector, std::min(width, vectors - vector)};
  }
};

HRNET_FAST_ISA void convolve(const Work& work, int64_t begin, int64_t end) {
  const Grid grid(work.item, work.from, work.to);
  const Cut cut(work.item, grid);
  Pending pending{work, grid};
  for (int64_t index = begin; index < end; ++index) {
    const auto [strip, strips, vector, vectors] = cut.unit(index);
    if (vectors == 2) {
      for (int64_t s = 0; s + 1 < strips; s += 2) block<2, 2>(work, grid, strip + s, 2, vector, pending);
      if (strips % 2 == 1) block<1, 2>(work, grid, strip + strips - 1, 1, vector, pending);
    } else if (strips > 2) {
      block<4, 1>(work, grid, strip, strips, vector, pending);
    } else if (strips == 2) {
      block<2, 1>(work, grid, strip, 2, vector, pending);
    } else {
      block<1, 1>(work, grid, strip, 1, vector, pending);
    }
  }
  finish_rows(pending, pending.rows);
}

}  // namespace
}  // namespace hrnet_fast
