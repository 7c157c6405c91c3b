// heatmap_decode on the CPU. The formula and the schema are in kernels/heatmap_decode.py.
#include "cpu/heatmap_decode.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"
#include "host.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 65536;  // values read by one task: fewer are done sooner than a thread is woken

HeatmapDecodeMaps maps_for(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return cpu_features().avx512f ? heatmap_decode_maps__avx512 : nullptr;
  if (isa == "avx2") return cpu_features().avx2 ? heatmap_decode_maps__avx2 : nullptr;
#endif
  return isa == "portable" ? heatmap_decode_maps__portable : nullptr;
}

Heatmaps describe(const at::Tensor& maps) {
  return {maps.const_data_ptr(), maps.stride(0), maps.stride(1), maps.stride(2), maps.stride(3)};
}

at::Tensor heatmap_decode(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped, at::IntArrayRef swap,
                          bool shift, bool quarter, HeatmapDecodeMaps maps) {
  TORCH_CHECK_VALUE(heatmaps.dim() == 4 && heatmaps.size(1) > 0 && heatmaps.size(2) > 0 && heatmaps.size(3) > 0,
                    "heatmap_decode: shape ", heatmaps.sizes(), " is not (N, K, h, w)");
  TORCH_CHECK_VALUE(!flipped || flipped->sizes() == heatmaps.sizes(), "heatmap_decode: the shapes differ");
  TORCH_CHECK_VALUE(int64_t(swap.size()) == heatmaps.size(1), "heatmap_decode: swap must name each channel");
  for (int64_t k : swap)
    TORCH_CHECK_VALUE(k >= 0 && k < heatmaps.size(1), "heatmap_decode: swap names channel ", k, ", which is not there");
  TORCH_CHECK_TYPE(!flipped || flipped->scalar_type() == heatmaps.scalar_type(), "heatmap_decode: the dtypes differ");
  TORCH_CHECK_VALUE(!flipped || flipped->device() == heatmaps.device(), "heatmap_decode: the devices differ");
  HeatmapDecode p = {};
  p.dtype = dtype_of(heatmaps, "heatmap_decode");
  const bool wide = p.dtype == Dtype::f64;
  const at::Tensor out = at::empty({heatmaps.size(0), heatmaps.size(1), 3},
                                   heatmaps.options().dtype(wide ? at::kDouble : at::kFloat));
  p.maps = describe(heatmaps);
  if (flipped) p.flipped = describe(*flipped);
  p.swap = swap.data();
  p.out = out.mutable_data_ptr();
  p.channels = heatmaps.size(1), p.height = heatmaps.size(2), p.width = heatmaps.size(3);
  p.shift = shift, p.quarter = quarter;
  const int64_t values = p.height * p.width, grain = std::max<int64_t>(1, kGrain / values);
  at::parallel_for(0, heatmaps.size(0) * p.channels, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> room(wide ? values : (values + 1) / 2);
    maps(p, room.data(), begin, end);
  });
  return out;
}

at::Tensor heatmap_decode_cpu(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                              at::IntArrayRef swap, bool shift, bool quarter) {
  static const HeatmapDecodeMaps maps = maps_for(cpu_isa());
  return heatmap_decode(heatmaps, flipped, swap, shift, quarter, maps);
}

// Runs one named instruction set, for the tests.
at::Tensor heatmap_decode_body(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                               at::IntArrayRef swap, bool shift, bool quarter, std::string_view body) {
  const HeatmapDecodeMaps maps = maps_for(body);
  TORCH_CHECK_VALUE(maps != nullptr, "heatmap_decode_body: this machine cannot run the body ", std::string(body));
  return heatmap_decode(heatmaps, flipped, swap, shift, quarter, maps);
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("heatmap_decode", heatmap_decode_cpu); }

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "heatmap_decode_body(Tensor heatmaps, Tensor? flipped, int[] swap, bool shift, bool quarter, str body)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("heatmap_decode_body", heatmap_decode_body); }

}  // namespace hrnet_fast
