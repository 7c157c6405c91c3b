// How a CTA of a convolution divides its shared memory. Host and device. No torch header.
//
//   offsets of K's granules in a halo tile | bias | early: the first term's tile | stages: halo tile, weights
//                                                                                | then, over the stages, partial sums
#pragma once

#include "cuda/level.h"

namespace hrnet_fast {

HRNET_FAST_HD int ceil_div(int a, int b) { return (a + b - 1) / b; }
HRNET_FAST_HD uint32_t round16(uint32_t bytes) { return (bytes + 15) & ~15u; }

// An odd number of granules a pixel: the eight pixels of an 8x8 matrix then lie in eight different banks.
HRNET_FAST_HD ConvLayout conv_layout(const LevelItem& item, bool early, int itemsize) {
  ConvLayout l;
  const int values = 16 / itemsize, rows = kWarpRows * item.warps_m;
  l.taps = item.kernel * item.kernel;
  l.all_granules = item.in_channels / values;
  l.granules = item.chunk / values;
  l.chunks = ceil_div(l.all_granules, l.granules);
  l.halo_height = (item.tile_height - 1) * item.stride + item.kernel;
  l.halo_width = (item.tile_width - 1) * item.stride + item.kernel;
  l.pixels = item.tile_height * item.tile_width;
  l.columns = item.warps_n * item.warp_columns;
  l.sums_pitch = l.columns % 16 ? l.columns : l.columns + 8;  // rows of a fragment in different banks
  l.pixel_pitch = uint32_t(l.granules | 1) * 16;
  l.bias = round16(uint32_t(l.granules * l.taps) * 4);
  l.early = l.bias + round16(uint32_t(l.columns) * 4);
  l.stages = l.early + (early ? uint32_t(l.pixels * l.columns * itemsize) : 0);
  l.weights = uint32_t(l.halo_height * l.halo_width) * l.pixel_pitch;
  l.stage_bytes = l.weights + uint32_t(l.columns * l.granules * l.taps) * 16;
  const uint32_t loaded = l.stage_bytes * item.stages, summed = uint32_t(item.warps_k * rows * l.sums_pitch) * 4;
  l.total = l.stages + (loaded > summed ? loaded : summed);
  return l;
}

// Column of a halo tile -> where it lies: with stride 2 the even columns come first, so that neighbours of the output
// read neighbours.
HRNET_FAST_HD int halo_column(int column, int stride, int width) {
  const int odd = stride - 1;  // of strides 1 and 2
  return (column & odd) * ((width + odd) >> odd) + (column >> odd);
}

// The first term is fetched before the products if it needs no resizing.
HRNET_FAST_HD bool has_early_term(const Level& level, const LevelItem& item) {
  return item.terms > 0 && level.term[item.first_term].mode == 0;
}

}  // namespace hrnet_fast
