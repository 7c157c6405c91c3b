// Which kernel computes an item of a program in bfloat16: include after cpu/isa/vec_avx512.h and one of the tiles.
#pragma once

#include "cpu/amx/convolve.h"

namespace hrnet_fast {
namespace {

HRNET_FAST_ISA void add_up(const Work& work, int64_t begin, int64_t end) {
  const Map& to = work.to;
  const int64_t vectors = (work.item.channels + kLanes - 1) / kLanes, plane = to.height * to.width;
  for (int64_t i = begin * kUnit; i < std::min(to.batch * plane, end * kUnit); ++i)
    finish(work, nullptr, 0, vectors, i / plane, i % plane / to.width, i % to.width, 0);
}

HRNET_FAST_ISA void run_item(const Item& item, const std::vector<Map>& maps, void* const* buffers, int64_t begin,
                             int64_t end) {
  const Work work{item, maps, buffers, maps[item.out], maps[item.in < 0 ? item.out : item.in]};
  item.in < 0 ? add_up(work, begin, end) : convolve(work, begin, end);
}

HRNET_FAST_ISA int64_t units_of_item(const Item& item, const std::vector<Map>& maps) {
  const Map& to = maps[item.out];
  if (item.in < 0) return (to.batch * to.height * to.width + kUnit - 1) / kUnit;
  const Grid grid(item, maps[item.in], to);
  const Cut cut(item, grid);
  return cut.blocks * cut.groups;
}

ItemKernels tile_kernels(const char* isa) {
  return {isa, kLanes, run_item, units_of_item, sizeof(bf16_t), kStep, true, enter_tiles, leave_tiles};
}

}  // namespace
}  // namespace hrnet_fast
