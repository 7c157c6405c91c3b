#if defined(__x86_64__)
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the items are written for
#include "cpu/items/words_float.h"
#include "cpu/items/run.h"

namespace hrnet_fast {

const ItemKernels kItems__avx512 = word_kernels("avx512");

}  // namespace hrnet_fast
#endif
