#if defined(__x86_64__)
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the rows are written for
#include "cpu/resample_argmax_rows.h"

namespace hrnet_fast {

void resample_argmax_rows__avx512(const ResampleArgmax& p, const Resample* maps, int64_t begin, int64_t end) {
  resample_rows_of_any(p, maps, begin, end);
}

}  // namespace hrnet_fast
#endif
