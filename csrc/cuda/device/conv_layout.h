// How a CTA of a convolution, or of a chain of them, divides its shared memory. Host and device. No torch header.
//
//   the CTA's place | of each step: offsets of K's granules in its source tile, bias | early: the first term's tile
//   | chunks of the first step's halo tile, or what the second step leaves | what the first leaves | stages of weights
//
// The last step's partial sums take the place of what is not needed any more, or lie behind all. A CTA of several tiles
// has room for the first term and the halo tile of two.
#pragma once

#include "cuda/level.h"

namespace hrnet_fast {

HRNET_FAST_HD int ceil_div(int a, int b) { return (a + b - 1) / b; }
HRNET_FAST_HD uint32_t round16(uint32_t bytes) { return (bytes + 15) & ~15u; }
HRNET_FAST_HD uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

// What one step alone decides. An odd number of granules a pixel: the eight pixels of an 8x8 matrix then lie in eight
// different banks.
HRNET_FAST_HD ConvLayout step_layout(const LevelItem& item, bool first, bool in_chain, int itemsize) {
  ConvLayout l = {};
  const int values = 16 / itemsize;
  l.taps = item.kernel * item.kernel;
  l.all_granules = item.in_channels / values;
  l.granules = item.chunk / values;
  l.chunks = ceil_div(l.all_granules, l.granules);
  l.columns = item.warps_n * item.warp_columns;
  l.passes = in_chain ? ceil_div(item.channels, l.columns) : 1;
  l.halo_height = (item.tile_height - 1) * item.stride + item.kernel;
  l.halo_width = (item.tile_width - 1) * item.stride + item.kernel;
  l.pixels = item.tile_height * item.tile_width;
  l.sums_pitch = l.columns % 16 ? l.columns : l.columns + 8;  // rows of a fragment in different banks
  l.pixel_pitch = uint32_t((first ? l.granules : l.all_granules) | 1) * 16;
  l.tile_slots = l.chunks;
  l.tile_bytes = first ? uint32_t(l.halo_height * l.halo_width) * l.pixel_pitch : uint32_t(l.granules) * 16;
  l.weights_bytes = uint32_t(l.columns * l.granules * l.taps) * 16;
  return l;
}

// Bytes of the tile that a step leaves for this one.
HRNET_FAST_HD uint32_t left_bytes(const ConvLayout& l) {
  return uint32_t(l.halo_height * l.halo_width) * l.pixel_pitch;
}

// Of the item.steps steps that begin with `items`. early: whether a convolution alone fetches its first term ahead.
HRNET_FAST_HD void conv_layouts(const LevelItem* items, bool early, int itemsize, ConvLayout* layouts) {
  const int steps = items->steps, stages = items->stages;
  const LevelItem& end = items[steps - 1];
  ConvLayout &first = layouts[0], &last = layouts[steps - 1];
  uint32_t at = kPlaceBytes, weights_bytes = 0;
  for (int s = 0; s < steps; ++s) {
    ConvLayout& l = layouts[s] = step_layout(items[s], s == 0, steps > 1, itemsize);
    l.offsets = at;
    l.bias = l.offsets + round16(uint32_t(l.granules * l.taps) * 4);
    at = l.bias + round16(uint32_t(l.columns * l.passes) * 4);
    weights_bytes = larger(weights_bytes, l.weights_bytes);
  }
  const uint32_t at_once = uint32_t(tiles_at_once(*items));
  first.early = at, first.early_bytes = early ? uint32_t(last.pixels * last.columns * itemsize) : 0;
  at += at_once * first.early_bytes;

  if (!end.kept && stages < first.chunks) first.tile_slots = stages;
  if (at_once > 1) first.tile_slots = int(at_once);
  const uint32_t sums = uint32_t(end.warps_k * kWarpRows * end.warps_m * last.sums_pitch) * 4;
  const uint32_t third = steps == 3 ? left_bytes(last) : 0, loaded = uint32_t(first.tile_slots) * first.tile_bytes;
  const uint32_t free_at_the_end = end.kept ? at + loaded : at;
  first.tile = at;
  at += end.kept ? loaded : larger(loaded, third);
  if (steps == 3) {
    last.tile = end.kept ? at : first.tile;
    at += end.kept ? third : 0;
  }
  const bool once = last.passes == 1, over_second = !once && steps == 3;
  const uint32_t second = at;
  if (steps > 1) {
    layouts[1].tile = second;
    at += larger(left_bytes(layouts[1]), over_second ? sums : 0);
  }
  for (int s = 0; s < steps; ++s) layouts[s].weights = at, layouts[s].weights_bytes = weights_bytes;
  at += uint32_t(stages) * weights_bytes;
  last.sums = at_once > 1 ? at : once ? free_at_the_end : over_second ? second : at;
  first.total = larger(at, last.sums + sums);
}

// Column of a halo tile -> where it lies: with stride 2 the even columns come first, so that neighbours of the output
// read neighbours.
HRNET_FAST_HD int halo_column(int column, int stride, int width) {
  const int odd = stride - 1;  // of strides 1 and 2
  return (column & odd) * ((width + odd) >> odd) + (column >> odd);
}

// The first term of a convolution alone is fetched before the products if it needs no resizing.
HRNET_FAST_HD bool has_early_term(const Level& level, const LevelItem& item) {
  return item.steps == 1 && item.terms > 0 && level.term[item.first_term].mode == 0;
}

}  // namespace hrnet_fast
