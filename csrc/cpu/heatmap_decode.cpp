// heatmap_decode on the CPU. The formula and the schema are in kernels/heatmap_decode.py.
#include "heatmap_decode_host.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 65536;  // values read by one task: fewer are done sooner than a thread is woken

constexpr auto maps_for =
    body_for<heatmap_decode_maps__avx512, heatmap_decode_maps__avx2, heatmap_decode_maps__portable>;

at::Tensor decode_by(HeatmapDecodeMaps maps, const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                     at::IntArrayRef swap, bool shift, bool quarter) {
  return heatmap_decode(heatmaps, flipped, swap, shift, quarter, [&](const HeatmapDecode& p, int64_t batch) {
    const int64_t values = p.height * p.width, grain = std::max<int64_t>(1, kGrain / values);
    at::parallel_for(0, batch * p.channels, grain, [&](int64_t begin, int64_t end) {
      std::vector<double> scratch(p.dtype == Dtype::f64 ? values : (values + 1) / 2);
      maps(p, scratch.data(), begin, end);
    });
  });
}

at::Tensor heatmap_decode_cpu(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                              at::IntArrayRef swap, bool shift, bool quarter) {
  static const HeatmapDecodeMaps maps = maps_for(cpu_isa());
  return decode_by(maps, heatmaps, flipped, swap, shift, quarter);
}

#ifdef HRNET_FAST_WITH_TESTS
// Runs one named instruction set, for the tests.
at::Tensor heatmap_decode_body(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                               at::IntArrayRef swap, bool shift, bool quarter, std::string_view body) {
  const HeatmapDecodeMaps maps = maps_for(body);
  TORCH_CHECK_VALUE(maps != nullptr, "heatmap_decode_body: this machine cannot run the body ", std::string(body));
  return decode_by(maps, heatmaps, flipped, swap, shift, quarter);
}
#endif

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("heatmap_decode", heatmap_decode_cpu); }

#ifdef HRNET_FAST_WITH_TESTS
TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "heatmap_decode_body(Tensor heatmaps, Tensor? flipped, int[] swap, bool shift, bool quarter, str body)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("heatmap_decode_body", heatmap_decode_body); }
#endif

}  // namespace hrnet_fast
