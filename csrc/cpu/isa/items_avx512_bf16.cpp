#if defined(__x86_64__)
#define HRNET_FAST_AVX512_BF16
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the items are written for
#include "cpu/items/words_bf16.h"
#include "cpu/items/run.h"
#include "cpu/features.h"

namespace hrnet_fast {

const ItemKernels* items__avx512_bf16() {
  static const ItemKernels kernels = word_kernels("avx512-bf16");
  return allowed_features().avx512_bf16 ? &kernels : nullptr;
}

}  // namespace hrnet_fast
#endif
