// upsample_argmax on the CPU. The formula and the schema are in kernels/upsample_argmax.py.
#include "upsample_argmax_host.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 65536;  // values interpolated by one task: fewer are done sooner than a thread is woken

constexpr auto rows_for =
    body_for<upsample_argmax_rows__avx512, upsample_argmax_rows__avx2, upsample_argmax_rows__portable>;

void run(const UpsampleArgmax& p, bool align_corners, UpsampleArgmaxRows rows) {
  std::vector<Tap<float>> taps;
  taps.reserve(p.count * (p.height + p.width));  // the tables point into it: it must not move
  const auto table = [&](int64_t in, int64_t out) {
    const Tap<float>* first = taps.data() + taps.size();
    for (int64_t i = 0; i < out; ++i) taps.push_back(resize_tap<float>(Mode::bilinear, align_corners, i, in, out));
    return first;
  };
  ArgmaxTaps tables = {};
  for (int k = 0; k < p.count; ++k) {
    tables.rows[k] = table(p.maps[k].height, p.height);
    tables.cols[k] = table(p.maps[k].width, p.width);
  }
  const int64_t grain = std::max<int64_t>(1, kGrain / (p.width * p.channels * p.count));
  at::parallel_for(0, p.batch * p.height, grain, [&](int64_t begin, int64_t end) { rows(p, tables, begin, end); });
}

at::Tensor label_by(UpsampleArgmaxRows rows, at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size,
                    bool align_corners) {
  return upsample_argmax(maps, weights, size, [&](const UpsampleArgmax& p) { run(p, align_corners, rows); });
}

at::Tensor upsample_argmax_cpu(at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size,
                               bool align_corners) {
  static const UpsampleArgmaxRows rows = rows_for(cpu_isa());
  return label_by(rows, maps, weights, size, align_corners);
}

#ifdef HRNET_FAST_WITH_TESTS
// Runs the rows of one named instruction set, for the tests.
at::Tensor upsample_argmax_body(at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size,
                                bool align_corners, std::string_view body) {
  const UpsampleArgmaxRows rows = rows_for(body);
  TORCH_CHECK_VALUE(rows != nullptr, "upsample_argmax_body: this machine cannot run the body ", std::string(body));
  return label_by(rows, maps, weights, size, align_corners);
}
#endif

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("upsample_argmax", upsample_argmax_cpu); }

#ifdef HRNET_FAST_WITH_TESTS
TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def("upsample_argmax_body(Tensor[] maps, float[] weights, int[2] size, bool align_corners, str body) -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("upsample_argmax_body", upsample_argmax_body); }
#endif

}  // namespace hrnet_fast
