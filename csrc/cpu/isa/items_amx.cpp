#if defined(__x86_64__)
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define HRNET_FAST_AVX512_BF16   // every CPU with these tiles rounds to bfloat16 by one instruction
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the items are written for
#include "cpu/amx/tiles.h"
#include "cpu/amx/run.h"
#include "cpu/features.h"

namespace hrnet_fast {
namespace {

// Linux gives all threads of a process the registers of AMX when one asks for them (arch_prctl, ARCH_REQ_XCOMP_PERM).
bool may_use_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
#else
  return false;
#endif
}

}  // namespace

const ItemKernels* items__amx() {
  static const ItemKernels kernels = tile_kernels("amx");
  const CpuFeatures& f = allowed_features();
  return f.avx512f && f.avx512_bf16 && f.amx_bf16 && may_use_tiles() ? &kernels : nullptr;
}

}  // namespace hrnet_fast
#endif
