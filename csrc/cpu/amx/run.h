// Which kernel computes an item of a program in bfloat16: include after cpu/isa/vec_avx512.h and one of the tiles.
#pragma once

#include "cpu/amx/convolve.h"

namespace hrnet_fast {
namespace {

HRNET_FAST_ISA void add_up(const Work& work, int64_t begin, int64_t end) {
  const Map& to = work.to;
  const int64_t plane = to.height * to.width, last = std::min(to.batch * plane, end * kUnit);
  for (int64_t i = begin * kUnit; i < last;) {
    const int64_t x = i % to.width, count = std::min(last - i, to.width - x);
    for (int64_t c = 0; c < work.item.channels; c += kLanes)
      finish_as<false, 1, false, Added::any>(work, nullptr, {i / plane, i % plane / to.width, x, count, c});
    i += count;
  }
}

HRNET_FAST_ISA void run_item(const Item& item, const std::vector<Map>& maps, void* const* buffers, int64_t begin,
                             int64_t end) {
  const Work work{item, maps, buffers, maps[item.out], maps[item.kind == Kind::sum ? item.out : item.in]};
  item.kind == Kind::sum ? add_up(work, begin, end) : convolve(work, begin, end);
}

HRNET_FAST_ISA int64_t units_of_item(const Item& item, const std::vector<Map>& maps, const ItemKernels&) {
  const Map& to = maps[item.out];
  if (item.kind == Kind::sum) return (to.batch * to.height * to.width + kUnit - 1) / kUnit;
  const Grid grid(item, maps[item.in], to);
  const Cut cut(item, grid);
  return cut.blocks * cut.groups;
}

// In cycles, by arithmetic and not by timing: 16 for a multiplication of tiles, 6 for a vector of a pixel's epilogue,
// which go on at once.
HRNET_FAST_ISA double cost_of_unit(const Item& item, const std::vector<Map>& maps, const ItemKernels&, int64_t index) {
  const Map& to = maps[item.out];
  const double finish = 6.0 * double(item.summands.size() + 1);
  if (item.kind == Kind::sum) {
    const int64_t pixels = std::min(kUnit, to.batch * to.height * to.width - index * kUnit);
    return double(pixels * ((item.channels + kLanes - 1) / kLanes)) * finish;
  }
  const Grid grid(item, maps[item.in], to);
  const Cut cut(item, grid);
  const Unit unit = cut.unit(index);
  return double(unit.strips * unit.vectors) * std::max(16.0 * double(cut.multiplications), double(kStrip) * finish);
}

ItemKernels tile_kernels(const char* isa) {
  ItemKernels kernels = {isa, kLanes, run_item, units_of_item, cost_of_unit, sizeof(bf16_t), kStep, kStrip};
  kernels.direct_alone = true, kernels.enter = enter_tiles, kernels.leave = leave_tiles;
  return kernels;
}

}  // namespace
}  // namespace hrnet_fast
