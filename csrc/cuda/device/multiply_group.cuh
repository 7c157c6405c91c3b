// A chunk's products by warpgroups, as in multiply.cuh otherwise: four warps that share output channels and turns along
// K bring their own pixels in registers, and the tensor cores read the weights of a product once for all four.
#pragma once

#include "cuda/device/multiply.cuh"

namespace hrnet_fast {

#ifdef HRNET_FAST_WARPGROUPS

// The pixels of one step along K; of half a step, zeros come first. at: of this lane's granule.
template <class T, bool kWhole>
HRNET_FAST_DEVICE void load_rows(const LanePlace& place, uint32_t at, uint32_t (&a)[2][4]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    load_matrices(a[i], place.pixels[i] + at);
#pragma unroll
    for (int w = 0; w < 4; ++w) a[i][w] = w >= 2 || kWhole ? operand(T(), a[i][w]) : 0;
  }
  settle_rows(a);
}

// Both fragments' products with a matrix whose second half along K lies `along` bytes behind the first.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void start_step(const uint32_t (&a)[2][4], uint32_t matrix, uint32_t along, uint32_t across,
                                  float (&sum)[2][kBlocks][4]) {
  open_products();
  start_products(T(), sum[0], a[0], matrix, along, across);
  start_products(T(), sum[1], a[1], matrix, along, across);
  close_products();
}

// Whether two steps' products are under way at a time. Not in TF32, whose rows are rounded after they are loaded: ptxas
// lets products overlap with nothing then (C7513).
template <class T>
constexpr bool kTwoSteps = sizeof(T) == 2;

// Behind the start of a step: the pixels of the next one, in the registers of the step before. wanted: not, where a
// warp has no pixels.
template <class T>
HRNET_FAST_DEVICE void load_next(const LanePlace& place, bool wanted, uint32_t at, uint32_t (&a)[2][4]) {
  if constexpr (kTwoSteps<T>) {
    wait_products<1>();
#pragma unroll
    for (int i = 0; i < 2; ++i) load_matrices_if(wanted, a[i], place.pixels[i] + at);
  } else {
    load_rows<T, true>(place, at, a);
    wait_products<0>();
  }
}

// busy: whether the warp has pixels; tile, weights: where the chunk lies. While the tensor cores multiply a step, the
// pixels of the next one are loaded into the other of two sets of registers, and its products are started behind them.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_chunk_grouped(const LevelItem& item, const ConvLayout& layout, const LanePlace& place,
                                              bool busy, uint32_t tile, uint32_t weights, int granules,
                                              float (&sum)[2][kBlocks][4]) {
  constexpr uint32_t kBlock = 128;  // bytes of a granule's weights of eight channels
  const uint32_t across = uint32_t(layout.granules * layout.taps) * kBlock;
  const uint32_t own = weights + uint32_t(warp_place(item).n * kBlocks) * across;
  const int half = thread_index() % 32 / 16, turns = 2 * item.warps_k;
  const auto at = [&](int k) {  // beyond the last granule the last one, which nothing multiplies
    return tile + uint32_t(load_shared<int>(layout.offsets + uint32_t(least(k + half, granules - 1)) * 4));
  };
  const auto start = [&](int k, const uint32_t (&a)[2][4]) {
    start_step<T>(a, own + uint32_t(k) * kBlock, kBlock, across, sum);
  };
  uint32_t even[2][4], odd[2][4];
  int k = 2 * place.turn;
  if (k + 1 < granules) {
    load_rows<T, true>(place, at(k), even);
    start(k, even);
    k += turns;
    load_rows<T, true>(place, at(k), odd);
    if (!kTwoSteps<T>) wait_products<0>();
#pragma unroll 1
    for (; k + 1 + turns < granules; k += 2 * turns) {
      start(k, odd);
      load_next<T>(place, busy, at(k + turns), even);
      start(k + turns, even);
      load_next<T>(place, busy, at(k + 2 * turns), odd);
    }
    if (k + 1 < granules) start(k, odd);
    wait_products<0>();
  }
  if (granules % 2 && granules / 2 % item.warps_k == place.turn) {  // the granule before meets the zeros
    const int before = least(granules - 1, 1);
    load_rows<T, false>(place, at(granules - 1), even);
    start_step<T>(even, own + uint32_t(granules - 1 - before) * kBlock, uint32_t(before) * kBlock, across, sum);
    wait_products<0>();
  }
}

#endif

}  // namespace hrnet_fast
