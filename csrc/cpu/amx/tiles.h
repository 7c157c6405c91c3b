// The instructions of AMX that the kernels use, on tiles of 16 rows of 64 bytes: 16 x 16 floats, or 16 x 32 bfloat16.
// Include after cpu/isa/vec_avx512.h; tiles_emulated.h has the same names for CPUs that lack them.
#pragma once

#include "cpu/amx/tile_config.h"

namespace hrnet_fast {
namespace {

// Every thread before its first tile, in a process that has the permission of `may_use_tiles`.
HRNET_FAST_ISA void enter_tiles() {
  static constexpr TileConfig config;
  asm volatile("ldtilecfg %0" ::"m"(config));
}

HRNET_FAST_ISA void leave_tiles() { asm volatile("tilerelease"); }

template <int T>
HRNET_FAST_ISA void tile_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(T));
}

// Rows are `stride` bytes apart.
template <int T>
HRNET_FAST_ISA void tile_load(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(T) : "memory");
}

template <int T>
HRNET_FAST_ISA void tile_store(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(T) : "memory");
}

// C[m][n] += sum over pairs k of A[m][2k] * B[k][2n] + A[m][2k + 1] * B[k][2n + 1]
template <int C, int A, int B>
HRNET_FAST_ISA void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}

}  // namespace
}  // namespace hrnet_fast
