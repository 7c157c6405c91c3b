// Which kernel computes an item: include after cpu/isa/vec_<isa>.h and cpu/items/words_<type>.h, in one file for each
// instruction set.
#pragma once

#include "cpu/items/direct.h"
#include "cpu/items/linear.h"
#include "cpu/items/mean.h"
#include "cpu/items/shuffle.h"
#include "cpu/items/winograd.h"
#include "cpu/schedule.h"

namespace hrnet_fast {
namespace {

// A sum, by pixels, two vectors at a time: the last ones may lack lanes.
HRNET_FAST_ISA void add_up(const Work& work, int64_t begin, int64_t end) {
  const int64_t pixels = work.to.batch * work.to.height * work.to.width;
  for (int64_t c = 0; c < work.item.channels; c += 2 * kLanes) {
    const Epilogue epilogue(work, c);
    Pixel p = work.pixel(begin * kUnit);
    for (int64_t i = begin * kUnit; i < std::min(pixels, end * kUnit); ++i, work.advance(p)) {
      if (epilogue.left >= 2 * kLanes) {
        finish<2, true>(epilogue, nullptr, p);
      } else if (epilogue.left > kLanes) {
        finish<2, false>(epilogue, nullptr, p);
      } else {
        finish<1, false>(epilogue, nullptr, p);
      }
    }
  }
}

HRNET_FAST_ISA void run_item(const Item& item, const std::vector<Map>& maps, void* const* buffers, int64_t begin,
                             int64_t end) {
  const Work work{item, maps, buffers, maps[item.out], maps[item.in < 0 ? item.out : item.in]};
  if (item.mean) {
    average(work, begin, end);
  } else if (item.shuffle != 0) {
    move_apart(work, begin, end);
  } else if (item.in < 0) {
    add_up(work, begin, end);
  } else if (item.winograd == 4) {
    convolve_winograd<4>(work, begin, end);
  } else if (item.winograd == 3) {
    convolve_winograd<3>(work, begin, end);
  } else if (item.winograd == 2) {
    convolve_winograd<2>(work, begin, end);
  } else if (is_linear(work)) {
    weigh_images(work, begin, end);
  } else {
    convolve(work, begin, end);
  }
}

HRNET_FAST_ISA int64_t units_of_item(const Item& item, const std::vector<Map>& maps) {
  return units(item, maps, kLanes);
}

HRNET_FAST_ISA double cost_of_unit(const Item& item, const std::vector<Map>& maps, int64_t unit) {
  return unit_cost(item, maps, kLanes, kPerWord, unit);
}

[[maybe_unused]] ItemKernels word_kernels(const char* isa) {
  return {isa, kLanes, run_item, units_of_item, cost_of_unit, sizeof(Element), kPerWord};
}

}  // namespace
}  // namespace hrnet_fast
