// From a warp's registers to the tile that a chain's next step reads.
#pragma once

#include "cuda/device/multiply.cuh"
#include "cuda/device/resize_term.cuh"

namespace hrnet_fast {

HRNET_FAST_DEVICE void store_pair(float, uint32_t at, Pair pair) { store_shared<Pair>(at, pair); }
template <class T>
HRNET_FAST_DEVICE void store_pair(T, uint32_t at, Pair pair) {
  T values[2];
  uint32_t word;
  store(&values[0], pair.first), store(&values[1], pair.second);
  memcpy(&word, values, sizeof word);
  store_shared<uint32_t>(at, word);
}

// Bias, ReLU, one rounding. A pixel outside of the image is zero, as the next step's padding is. next: the layout of
// the step that reads the tile.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void leave_tile(const LevelItem& item, const ConvLayout& layout, const ConvTile& tile, int pass,
                                  const ConvLayout& next, int next_stride, const float (&sum)[2][kBlocks][4]) {
  const WarpPlace warp = warp_place(item);
  const int lane = thread_index() % 32, first = pass * layout.columns + warp.n * item.warp_columns + lane % 4 * 2;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int pixel = warp.m * kWarpRows + lane / 4 + r * 8, row = pixel / item.tile_width,
              column = pixel - row * item.tile_width;
    if (pixel >= layout.pixels) break;
    const int y = tile.y + row, x = tile.x + column;
    const bool inside = y >= 0 && y < item.height && x >= 0 && x < item.width;
    const int at = row * next.halo_width + halo_column(column, next_stride, next.halo_width);
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      const int channel = first + j * 8;
      if (channel >= item.channels) break;
      const Pair bias = load_shared<Pair>(layout.bias + uint32_t(channel) * 4);
      Pair pair = {sum[r / 2][j][r % 2 * 2] + bias.first, sum[r / 2][j][r % 2 * 2 + 1] + bias.second};
      if (item.relu != kReluNone) pair = {relu(pair.first), relu(pair.second)};
      if (!inside) pair = {0.0f, 0.0f};
      store_pair(T(), next.tile + uint32_t(at) * next.pixel_pitch + uint32_t(channel) * uint32_t(sizeof(T)), pair);
    }
  }
}

}  // namespace hrnet_fast
