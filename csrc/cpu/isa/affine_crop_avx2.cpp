#if defined(__x86_64__)
#include "cpu/isa/vec_avx2.h"  // first: it says which instruction set the rows are written for
#include "cpu/affine_crop_rows.h"

namespace hrnet_fast {

void affine_crop_rows__avx2(const AffineCrop& p, int64_t begin, int64_t end) { crop_rows(p, begin, end); }

}  // namespace hrnet_fast
#endif
