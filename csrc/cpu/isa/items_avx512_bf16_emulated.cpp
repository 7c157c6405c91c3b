// Never chosen by itself: tests ask for it by name, and run the kernels of AVX512_BF16 on CPUs that lack it.
#if defined(__x86_64__) && defined(HRNET_FAST_WITH_TESTS)
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the items are written for
#include "cpu/items/words_bf16.h"
#include "cpu/items/run.h"
#include "cpu/features.h"

namespace hrnet_fast {

const ItemKernels* items__avx512_bf16_emulated() {
  static const ItemKernels kernels = word_kernels("avx512-bf16-emulated");
  return cpu_features().avx512f ? &kernels : nullptr;
}

}  // namespace hrnet_fast
#endif
