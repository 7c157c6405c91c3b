// A chunk's products, from shared memory to a warp's registers: 32 output pixels times 8 * kBlocks output channels.
#pragma once

#include "cuda/device/conv_tile.cuh"

namespace hrnet_fast {

// What a thread reads and writes as a lane of its warp, in bytes of shared memory.
struct LanePlace {
  int turn;            // of the warp among those that share K
  uint32_t pixels[2];  // the pixels of two fragments, in a stage; rows beyond the tile repeat its first pixel
  uint32_t weights;    // a stage's
  uint32_t sums;       // partial sums: [warps_k][kWarpRows * warps_m][sums_pitch] floats from layout.stages on
};

HRNET_FAST_DEVICE LanePlace lane_place(const LevelItem& item, const ConvLayout& layout) {
  const int warp = thread_index() / 32, lane = thread_index() % 32, across = item.warps_m * item.warps_n;
  const int m = warp % item.warps_m, n = warp % across / item.warps_m, blocks = item.warp_columns / 8;
  LanePlace place;
  place.turn = warp / across;
  for (int i = 0; i < 2; ++i) {
    const int row = m * kWarpRows + i * 16 + lane % 16, pixel = row < layout.pixels ? row : 0;
    const int y = pixel / item.tile_width, x = pixel - y * item.tile_width;
    place.pixels[i] = uint32_t(y * item.stride * layout.halo_width + x) * layout.pixel_pitch;
  }
  const int block = n * blocks + lane / 16;  // eight output channels
  place.weights = layout.weights + uint32_t(block * layout.granules * layout.taps * 8 + lane % 8) * 16;
  const int row = (place.turn * item.warps_m + m) * kWarpRows + lane / 4;
  place.sums = layout.stages + uint32_t(row * layout.sums_pitch + n * item.warp_columns + lane % 4 * 2) * 4;
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
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_chunk(const ConvLayout& layout, const LanePlace& place, int warps_k, uint32_t stage,
                                      int granules, float (&sum)[2][kBlocks][4]) {
  const uint32_t pitch = uint32_t(layout.granules * layout.taps) * 128;  // of the weights of eight channels
  const int lane = thread_index() % 32, a_half = lane / 16, b_half = lane / 8 % 2;
  const uint32_t weights = stage + place.weights;
  const auto offset = [&](int k) { return stage + uint32_t(load_shared<int>(uint32_t(least(k, granules - 1)) * 4)); };
  uint32_t next = offset(2 * place.turn + a_half);  // fetched a step ahead
#pragma unroll 1
  for (int k = 2 * place.turn; k + 1 < granules; k += 2 * warps_k) {
    const uint32_t at = next;
    next = offset(k + 2 * warps_k + a_half);
    const uint32_t row = weights + uint32_t(k + b_half) * 128;
    multiply_step<T, kBlocks, true>({place.pixels[0] + at, place.pixels[1] + at}, row, pitch, lane, sum);
  }
  if (granules % 2 && granules / 2 % warps_k == place.turn) {
    const uint32_t at = offset(granules), row = weights + uint32_t(granules - 1) * 128;
    multiply_step<T, kBlocks, false>({place.pixels[0] + at, place.pixels[1] + at}, row, pitch, lane, sum);
  }
}

}  // namespace hrnet_fast
