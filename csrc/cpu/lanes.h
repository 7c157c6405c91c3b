// Vectors of the machine's width for the compiler's own operators: include after cpu/isa/vec_<isa>.h.
#pragma once

#include <cstdint>

namespace hrnet_fast {
namespace {

constexpr int kLanes = Vec<float>::kWidth;
typedef float Floats __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

// One step of an argmax: class `c` of the values, after those before it. Of equal ones the first stays; a NaN wins.
HRNET_FAST_ISA void take_larger(Floats& best, Ints& label, const Floats& value, int64_t c) {
  const Ints first = Ints{} - int32_t(c == 0);
  const Ints better = first | (~(value <= best) & (best == best));
  best = better ? value : best;
  label = better ? Ints{} + int32_t(c) : label;
}

}  // namespace
}  // namespace hrnet_fast
