// From a warp's registers to the output: partial sums meet in shared memory, then each thread finishes granules.
#pragma once

#include "cuda/device/multiply.cuh"
#include "cuda/device/resize_term.cuh"

namespace hrnet_fast {

template <int kBlocks>
HRNET_FAST_DEVICE void store_sums(const ConvLayout& layout, const LanePlace& place, const float (&sum)[2][kBlocks][4]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      const uint32_t at = place.sums + uint32_t(i * 16 * layout.sums_pitch + j * 8) * 4;
      store_shared<Pair>(at, {sum[i][j][0], sum[i][j][1]});
      store_shared<Pair>(at + uint32_t(8 * layout.sums_pitch) * 4, {sum[i][j][2], sum[i][j][3]});
    }
  }
}

// total += float32 values in shared memory
template <int kValues>
HRNET_FAST_DEVICE void add_floats(float (&total)[kValues], uint32_t at) {
#pragma unroll
  for (int i = 0; i < kValues; i += 4) {
    const Granule four = load_shared<Granule>(at + uint32_t(i) * 4);
#pragma unroll
    for (int j = 0; j < 4; ++j) total[i + j] += float_of_bits(four.words[j]);
  }
}

// Adds the shares of K in their order, then bias, ReLU and terms, and rounds once.
template <class T>
HRNET_FAST_DEVICE void finish(const Level& level, const LevelItem& item, const ConvLayout& layout, const ConvTile& tile,
                              bool early) {
  constexpr int kValues = kGranuleValues<T>;
  const int across = layout.columns / kValues, rows = kWarpRows * item.warps_m;
  const Divider by_across = divider(across), by_width = divider(item.tile_width);
  for (int i = thread_index(); i < layout.pixels * across; i += kThreads) {
    const int pixel = i / by_across, column = (i - pixel * across) * kValues, row = pixel / by_width;
    const int y = tile.y + row, x = tile.x + pixel - row * item.tile_width, channel = tile.channel + column;
    if (y >= item.height || x >= item.width || channel >= item.channels) continue;
    float total[kValues] = {};
    for (int k = 0; k < item.warps_k; ++k) {
      add_floats(total, layout.stages + uint32_t((k * rows + pixel) * layout.sums_pitch + column) * 4);
    }
    add_floats(total, layout.bias + uint32_t(column) * 4);
    if (item.relu == kReluFirst) {
      for (float& value : total) value = relu(value);
    }
    if (early) add_granule<T>(total, load_shared<Granule>(layout.early + uint32_t(i) * 16));
    for (int t = item.first_term + early; t < item.first_term + item.terms; ++t) {
      add_term<T>(total, level.term[t], tile.n, y, x, channel, item.channels, 1);
    }
    if (item.relu == kReluLast) {
      for (float& value : total) value = relu(value);
    }
    const int at = pixel_index(tile.n, y, x, item.height, item.width, item.channels, 1) + channel;
    store_global(static_cast<T*>(item.out) + at, round_granule<T>(total));
  }
}

}  // namespace hrnet_fast
