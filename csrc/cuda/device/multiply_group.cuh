// A chunk's products by warpgroups, as in multiply.cuh otherwise: four warps that share output channels and turns along
// K bring their own pixels in registers, and the tensor cores read the weights of a product once for all four.
#pragma once

#include "cuda/device/multiply.cuh"

namespace hrnet_fast {

#ifdef HRNET_FAST_WARPGROUPS

// The pixels of one step along K: granules k and k + 1, or k alone, where `whole` is false, and then zeros.
template <class T>
HRNET_FAST_DEVICE void load_rows(const LanePlace& place, uint32_t at, bool whole, uint32_t (&a)[2][4]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    load_matrices(a[i], place.pixels[i] + at);
#pragma unroll
    for (int w = 0; w < 4; ++w) a[i][w] = w < 2 || whole ? operand(T(), a[i][w]) : 0;
  }
  settle_rows(a);
}

// tile, weights: where the chunk lies. The pixels of the next step are loaded while the tensor cores multiply, into the
// other of two sets of registers.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_chunk_grouped(const LevelItem& item, const ConvLayout& layout, const LanePlace& place,
                                              uint32_t tile, uint32_t weights, int granules,
                                              float (&sum)[2][kBlocks][4]) {
  constexpr uint32_t kBlock = 128;  // bytes of a granule's weights of eight channels
  const uint32_t across = uint32_t(layout.granules * layout.taps) * kBlock;
  const uint32_t own = weights + uint32_t(warp_place(item).n * kBlocks) * across;
  const int half = thread_index() % 32 / 16;
  const auto load = [&](int k, uint32_t(&a)[2][4]) {  // beyond the last step the last granule, which nothing multiplies
    const int at = load_shared<int>(layout.offsets + uint32_t(least(k + half, granules - 1)) * 4);
    load_rows<T>(place, tile + uint32_t(at), k + 1 < granules, a);
  };
  const auto step = [&](int k, const uint32_t(&a)[2][4], uint32_t(&next)[2][4]) {
    const uint32_t along = k + 1 < granules ? kBlock : 0;  // where there is no second half, the first stands for it
    open_products();
    start_products(T(), sum[0], a[0], own + uint32_t(k) * kBlock, along, across);
    start_products(T(), sum[1], a[1], own + uint32_t(k) * kBlock, along, across);
    close_products();
    load(k + 2 * item.warps_k, next);
    wait_products();
    return k + 2 * item.warps_k;
  };
  uint32_t even[2][4], odd[2][4];
  int k = 2 * place.turn;
  load(k, even);
#pragma unroll 1
  while (k < granules) {
    k = step(k, even, odd);
    if (k >= granules) break;
    k = step(k, odd, even);
  }
}

#endif

}  // namespace hrnet_fast
