// A chunk's products, from shared memory to a warp's registers: 32 output pixels times 8 * kBlocks output channels.
#pragma once

#include "cuda/device/conv_tile.cuh"

namespace hrnet_fast {

// A warp's place among those of its CTA.
struct WarpPlace {
  int lane, m, n, k;
};

HRNET_FAST_DEVICE WarpPlace warp_place(const LevelItem& item) {
  const int warp = thread_index() / 32, across = item.warps_m * item.warps_n;
  return {thread_index() % 32, warp % item.warps_m, warp % across / item.warps_m, warp / across};
}

// Where the pixels of this lane's two fragments lie in the halo tile; rows beyond the tile repeat its first pixel.
HRNET_FAST_DEVICE void pixel_offsets(const LevelItem& item, const ConvLayout& layout, const WarpPlace& warp,
                                     uint32_t (&offsets)[2]) {
  for (int i = 0; i < 2; ++i) {
    const int row = warp.m * kWarpRows + i * 16 + warp.lane % 16, pixel = row < layout.pixels ? row : 0;
    const int y = pixel / item.tile_width, x = pixel - y * item.tile_width;
    offsets[i] = uint32_t(y * item.stride * layout.halo_width + x) * layout.pixel_pitch;
  }
}

// sum[i][j]: fragment of pixels 16 i.. and channels 8 j.. of the warp. A step is two granules of K; warps that share K
// take turns. Of an odd number of granules, the last step's second half is zero.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_chunk(const ConvLayout& layout, const WarpPlace& warp, int warps_k,
                                      const uint32_t (&pixels)[2], uint32_t stage, int granules,
                                      float (&sum)[2][kBlocks][4]) {
  const int pitch = layout.granules * layout.taps;  // of the weights of eight channels, in rows of eight granules
  const uint32_t weights = stage + layout.weights + uint32_t(warp.n * kBlocks * pitch + warp.lane / 16 * pitch) * 128 +
                           uint32_t(warp.lane % 8) * 16;
  const int a_half = warp.lane / 16, b_half = warp.lane / 8 % 2;
  for (int k = 2 * warp.k; k < granules; k += 2 * warps_k) {
    const bool whole = k + 1 < granules;
    const uint32_t offset = stage + uint32_t(load_shared<int>(uint32_t(whole ? k + a_half : k) * 4));
    const uint32_t row = weights + uint32_t(whole ? k + b_half : k) * 128;
    uint32_t a[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      load_matrices(a[i], pixels[i] + offset);
#pragma unroll
      for (int w = 0; w < 4; ++w) a[i][w] = w < 2 || whole ? operand(T(), a[i][w]) : 0;
    }
#pragma unroll
    for (int j = 0; j + 1 < kBlocks; j += 2) {
      uint32_t b[4];
      load_matrices(b, row + uint32_t(j * pitch) * 128);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        multiply_add(T(), sum[i][j], a[i], b[0], b[1]);
        multiply_add(T(), sum[i][j + 1], a[i], b[2], b[3]);
      }
    }
    if (kBlocks % 2) {
      uint32_t b[2];
      load_matrices(b, row - uint32_t(warp.lane / 16 * pitch) * 128 + uint32_t((kBlocks - 1) * pitch) * 128);
#pragma unroll
      for (int i = 0; i < 2; ++i) multiply_add(T(), sum[i][kBlocks - 1], a[i], b[0], b[1]);
    }
  }
}

}  // namespace hrnet_fast
