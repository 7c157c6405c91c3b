// Never chosen by itself: tests ask for it by name, and run the kernels of AMX on CPUs that lack it.
#if defined(__x86_64__) && defined(HRNET_FAST_WITH_TESTS)
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the items are written for
#include "cpu/amx/tiles_emulated.h"
#include "cpu/amx/run.h"
#include "cpu/features.h"

namespace hrnet_fast {

const ItemKernels* items__amx_emulated() {
  static const ItemKernels kernels = tile_kernels("amx-emulated");
  return cpu_features().avx512f ? &kernels : nullptr;
}

}  // namespace hrnet_fast
#endif
