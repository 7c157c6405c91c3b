#if defined(__x86_64__)
#include "cpu/isa/vec_avx512.h"  // first: it says which instruction set the rows are written for
#include "cpu/upsample_argmax_rows.h"

namespace hrnet_fast {

void upsample_argmax_rows__avx512(const UpsampleArgmax& p, const ArgmaxTaps& taps, int64_t begin, int64_t end) {
  label_rows_of_any(p, taps, begin, end);
}

}  // namespace hrnet_fast
#endif
