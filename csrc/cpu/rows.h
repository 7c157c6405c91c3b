// The CPU side of a ResizeSum: taps are computed once a call, rows by the widest instruction set of this machine.
// No torch header.
#pragma once

#include "resize_sum.h"

namespace hrnet_fast {

// Per term, one tap for each output row and each output column; null along an axis that needs no resize.
struct TapTables {
  const Tap<double>* rows[kMaxTerms];
  const Tap<double>* cols[kMaxTerms];
};

// Computes output rows [begin, end), row = n * height + y.
using ResizeSumRows = void (*)(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end);

void resize_sum_rows__portable(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end);
void resize_sum_rows__avx2(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end);
void resize_sum_rows__avx512(const ResizeSum& p, const TapTables& taps, int64_t begin, int64_t end);

// `isa` is portable, avx2 or avx512; null if this machine cannot run it.
ResizeSumRows resize_sum_rows(const char* isa);

// Computes the whole of `p`, in parallel, with the rows function given.
void resize_sum_cpu(const ResizeSum& p, ResizeSumRows rows);

}  // namespace hrnet_fast
