// Channels moved apart as pixels.
#pragma once

#include "cpu/items/work.h"

namespace hrnet_fast {
namespace {

// Of a pixel (y, x) of the result: every s * s-th channel of pixel (y / s, x / s), from channel y % s * s + x % s on.
HRNET_FAST_ISA void move_apart(const Work& work, int64_t begin, int64_t end) {
  const int64_t s = work.item.side, pixels = work.to.batch * work.to.height * work.to.width;
  Pixel p = work.pixel(begin * kUnit);
  for (int64_t i = begin * kUnit; i < std::min(pixels, end * kUnit); ++i, work.advance(p)) {
    const Element* in = work.data(work.from) + work.from.from_first(p.n, p.y / s, p.x / s) + p.y % s * s + p.x % s;
    Element* out = work.data(work.to) + p.out * work.to.channels;
    for (int64_t c = 0; c < work.to.channels; ++c) out[c] = in[c * s * s];
  }
}

}  // namespace
}  // namespace hrnet_fast
