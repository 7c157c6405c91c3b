#include "cpu/isa/vec_portable.h"  // first: it says which instruction set the items are written for
#include "cpu/items/words_float.h"
#include "cpu/items/run.h"

namespace hrnet_fast {

const ItemKernels kItems__portable = word_kernels("portable");

}  // namespace hrnet_fast
