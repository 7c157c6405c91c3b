// From a warp's registers to the output: partial sums meet in shared memory, then each thread finishes granules.
#pragma once

#include "cuda/device/multiply.cuh"
#include "cuda/device/resize_term.cuh"

namespace hrnet_fast {

// Partial sums: [warps_k][kWarpRows * warps_m][sums_pitch] floats.
template <int kBlocks>
HRNET_FAST_DEVICE void store_sums(const LevelItem& item, const ConvLayout& layout, const float (&sum)[2][kBlocks][4]) {
  const WarpPlace warp = warp_place(item);
  const int lane = thread_index() % 32, row = (warp.turn * item.warps_m + warp.m) * kWarpRows + lane / 4;
  const int column = warp.n * item.warp_columns + lane % 4 * 2;
  const uint32_t first = layout.sums + uint32_t(row * layout.sums_pitch + column) * 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      const uint32_t at = first + uint32_t(i * 16 * layout.sums_pitch + j * 8) * 4;
      store_shared<Pair>(at, {sum[i][j][0], sum[i][j][1]});
      store_shared<Pair>(at + uint32_t(8 * layout.sums_pitch) * 4, {sum[i][j][2], sum[i][j][3]});
    }
  }
}

// total += float32 values in shared memory. turned: 16 where the two halves of eight values are taken the other way
// round, else 0.
template <int kValues>
HRNET_FAST_DEVICE void add_floats(float (&total)[kValues], uint32_t at, uint32_t turned) {
#pragma unroll
  for (int i = 0; i < kValues; i += 4) {
    const Granule four = load_shared<Granule>(at + (uint32_t(i) * 4 ^ turned));
#pragma unroll
    for (int j = 0; j < 4; ++j) total[i + j] += float_of_bits(four.words[j]);
  }
}

// The halves of eight values, back in their order.
template <int kValues>
HRNET_FAST_DEVICE void turn_back(float (&total)[kValues], bool turned) {
#pragma unroll
  for (int i = 0; i < kValues / 2; ++i) {
    const float low = total[i], high = total[i + kValues / 2];
    total[i] = turned ? high : low, total[i + kValues / 2] = turned ? low : high;
  }
}

// 16 bytes of a chain's source, from where its chunks were loaded to: of pixel (y, x), from `channel` on.
template <class T>
HRNET_FAST_DEVICE Granule kept_granule(const ConvLayout& source, const ConvTile& loaded, int y, int x, int channel) {
  const int granule = channel / kGranuleValues<T>, chunk = granule / source.granules;
  const int pixel = (y + 1 - loaded.top) * source.halo_width + x + 1 - loaded.left;
  return load_shared<Granule>(source.tile + uint32_t(chunk) * source.tile_bytes + uint32_t(pixel) * source.pixel_pitch +
                              uint32_t(granule - chunk * source.granules) * 16);
}

// Adds the shares of K in their order, then bias, ReLU and terms, and rounds once. pass: which of the output channels;
// early: where the first term's tile lies, if it does; source, loaded: of the chain's first step.
template <class T>
HRNET_FAST_DEVICE void finish(const Level& level, const LevelItem& item, const ConvLayout& layout, const ConvTile& tile,
                              int pass, uint32_t early, const ConvLayout& source, const ConvTile& loaded) {
  constexpr int kValues = kGranuleValues<T>;
  const bool is_early = has_early_term(level, item);
  const int across = layout.columns / kValues, rows = kWarpRows * item.warps_m, skipped = pass * layout.columns;
  const Divider by_across = divider(across), by_width = divider(item.tile_width);
  for (int i = thread_index(); i < layout.pixels * across; i += kThreads) {
    const int pixel = i / by_across, column = (i - pixel * across) * kValues, row = pixel / by_width;
    const int y = tile.y + row, x = tile.x + pixel - row * item.tile_width, channel = tile.channel + skipped + column;
    if (y >= item.height || x >= item.width || channel >= item.channels) continue;
    // eight threads that are served at a time read 32 bytes apart: the first four take one half, the others the other
    // one
    const uint32_t turned = kValues == 8 ? uint32_t(i) / 4 % 2 * 16 : 0;
    float total[kValues] = {};
    for (int k = 0; k < item.warps_k; ++k) {
      add_floats(total, layout.sums + uint32_t((k * rows + pixel) * layout.sums_pitch + column) * 4, turned);
    }
    add_floats(total, layout.bias + uint32_t(skipped + column) * 4, turned);
    turn_back(total, turned != 0);
    if (item.relu == kReluFirst) {
      for (float& value : total) value = relu(value);
    }
    if (is_early) add_granule<T>(total, load_shared<Granule>(early + uint32_t(i) * 16));
    if (item.kept) add_granule<T>(total, kept_granule<T>(source, loaded, y, x, channel));
    for (int t = item.first_term + (is_early || item.kept); t < item.first_term + item.terms; ++t) {
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
