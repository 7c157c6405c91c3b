#include "cpu/isa/vec_portable.h"  // first: it says which instruction set the rows are written for
#include "cpu/resize_sum_rows.h"

namespace hrnet_fast {

void resize_sum_rows__portable(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end) {
  resize_sum_rows_of_any(p, taps, begin, end);
}

}  // namespace hrnet_fast
