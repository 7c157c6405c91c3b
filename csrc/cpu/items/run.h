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
  const Work work{item, maps, buffers, maps[item.out], maps[item.kind == Kind::sum ? item.out : item.in]};
  if (item.kind == Kind::mean) {
    average(work, begin, end);
  } else if (item.kind == Kind::shuffle) {
    move_apart(work, begin, end);
  } else if (item.kind == Kind::sum) {
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

constexpr ItemKernels word_kernels(const char* isa) {
  return {isa, kLanes, run_item, units, unit_cost, sizeof(Element), kPerWord};
}

}  // namespace
}  // namespace hrnet_fast
