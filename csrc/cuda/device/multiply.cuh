// A chunk's products, from shared memory to a warp's registers: 32 output pixels times 8 * kBlocks output channels.
#pragma once

#include "cuda/device/conv_tile.cuh"

namespace hrnet_fast {

// How a CTA's warps share pixels, output channels and K.
struct WarpPlace {
  int m, n, turn;  // turn: among those that share K
};

HRNET_FAST_DEVICE WarpPlace warp_place(const LevelItem& item) {
  const int warp = thread_index() / 32, across = item.warps_m * item.warps_n;
  return {warp % item.warps_m, warp % across / item.warps_m, warp / across};
}

// What a thread reads as a lane of its warp, in bytes of shared memory.
struct LanePlace {
  int turn;            // of the warp among those that share K
  uint32_t pixels[2];  // of two fragments, in the source tile; rows beyond the output tile repeat its first pixel
  uint32_t weights;    // in a chunk's
};

HRNET_FAST_DEVICE LanePlace lane_place(const LevelItem& item, const ConvLayout& layout) {
  const WarpPlace warp = warp_place(item);
  const int lane = thread_index() % 32;
  LanePlace place;
  place.turn = warp.turn;
  for (int i = 0; i < 2; ++i) {
    const int row = warp.m * kWarpRows + i * 16 + lane % 16, pixel = row < layout.pixels ? row : 0;
    const int y = pixel / item.tile_width, x = pixel - y * item.tile_width;
    place.pixels[i] = uint32_t(y * item.stride * layout.halo_width + x) * layout.pixel_pitch;
  }
  const int block = warp.n * (item.warp_columns / 8) + lane / 16;  // eight output channels
  place.weights = uint32_t(block * layout.granules * layout.taps * 8 + lane % 8) * 16;
  return place;
}

// One step of a warp along K: granules k and k + 1, or k alone, where `whole` is false: the second half is then zero.
// row: the weights' of granule k for this lane.
template <class T, int kBlocks, bool kWhole>
HRNET_FAST_DEVICE void multiply_step(const uint32_t (&pixels)[2], uint32_t row, uint32_t pitch, int lane,
                                     float (&sum)[2][kBlocks][4]) {
  uint32_t a[2][4];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    load_matrices(a[i], pixels[i]);
#pragma unroll
    for (int w = 0; w < 4; ++w) a[i][w] = w < 2 || kWhole ? operand(T(), a[i][w]) : 0;
  }
#pragma unroll
  for (int j = 0; j + 1 < kBlocks; j += 2) {
    uint32_t b[4];
    load_matrices(b, row + uint32_t(j) * pitch);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      multiply_add(T(), sum[i][j], a[i], b[0], b[1]);
      multiply_add(T(), sum[i][j + 1], a[i], b[2], b[3]);
    }
  }
  if (kBlocks % 2) {
    uint32_t b[2];
    load_matrices(b, row + uint32_t(kBlocks - 1 - lane / 16) * pitch);
#pragma unroll
    for (int i = 0; i < 2; ++i) multiply_add(T(), sum[i][kBlocks - 1], a[i], b[0], b[1]);
  }
}

// sum[i][j]: fragment of pixels 16 i.. and channels 8 j.. of the warp. Warps that share K take turns, step by step.
// tile, weights: where the chunk lies.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_chunk(const ConvLayout& layout, const LanePlace& place, int warps_k, uint32_t tile,
                                      uint32_t weights, int granules, float (&sum)[2][kBlocks][4]) {
  const uint32_t pitch = uint32_t(layout.granules * layout.taps) * 128;  // of the weights of eight channels
  const int lane = thread_index() % 32, a_half = lane / 16, b_half = lane / 8 % 2;
  const uint32_t own = weights + place.weights;
  const auto offset = [&](int k) {
    return tile + uint32_t(load_shared<int>(layout.offsets + uint32_t(least(k, granules - 1)) * 4));
  };
  uint32_t next = offset(2 * place.turn + a_half);  // fetched a step ahead
#pragma unroll 1
  for (int k = 2 * place.turn; k + 1 < granules; k += 2 * warps_k) {
    const uint32_t at = next;
    next = offset(k + 2 * warps_k + a_half);
    const uint32_t row = own + uint32_t(k + b_half) * 128;
    multiply_step<T, kBlocks, true>({place.pixels[0] + at, place.pixels[1] + at}, row, pitch, lane, sum);
  }
  if (granules % 2 && granules / 2 % warps_k == place.turn) {
    const uint32_t at = offset(granules), row = own + uint32_t(granules - 1) * 128;
    multiply_step<T, kBlocks, false>({place.pixels[0] + at, place.pixels[1] + at}, row, pitch, lane, sum);
  }
}

}  // namespace hrnet_fast
