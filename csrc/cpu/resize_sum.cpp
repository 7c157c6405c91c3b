#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "cpu/features.h"
#include "cpu/rows.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 32768;  // values read by one task: fewer are done sooner than a thread is woken

// Appends the taps of one axis of one term, in float32 arithmetic except for float64 tensors, as torch does.
void append_taps(std::vector<Tap<double>>& taps, const ResizeSum& p, int64_t in, int64_t out) {
  for (int64_t i = 0; i < out; ++i) {
    if (p.dtype == Dtype::f64) {
      taps.push_back(resize_tap<double>(p.mode, p.align_corners, i, in, out));
    } else {
      const Tap<float> tap = resize_tap<float>(p.mode, p.align_corners, i, in, out);
      taps.push_back({tap.lo, tap.hi, double(tap.weight)});
    }
  }
}

}  // namespace

ResizeSumRows resize_sum_rows(const char* isa) {
  return body_for<resize_sum_rows__avx512, resize_sum_rows__avx2, resize_sum_rows__portable>(isa);
}

void resize_sum_cpu(const ResizeSum& p, ResizeSumRows rows) {
  std::vector<Tap<double>> taps;
  taps.reserve(p.count * (p.height + p.width));  // the tables point into it: it must not move
  TapTables tables = {};
  for (int k = 0; k < p.count; ++k) {
    const Term& t = p.terms[k];
    if (t.height != p.height) {
      tables.rows[k] = taps.data() + taps.size();
      append_taps(taps, p, t.height, p.height);
    }
    if (t.width != p.width) {
      tables.cols[k] = taps.data() + taps.size();
      append_taps(taps, p, t.width, p.width);
    }
  }
  const int64_t values_of_a_row = p.width * p.channels * (p.count + 1);
  const int64_t grain = std::max<int64_t>(1, kGrain / values_of_a_row);
  at::parallel_for(0, p.batch * p.height, grain, [&](int64_t begin, int64_t end) { rows(p, tables, begin, end); });
}

}  // namespace hrnet_fast
