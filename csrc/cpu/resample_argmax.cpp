// resample_argmax on the CPU. The formula and the schema are in kernels/resample_argmax.py.
#include "resample_argmax_host.h"

#include <ATen/Parallel.h>
#include <ATen/ops/amax.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 65536;          // sums made by one task: fewer are done sooner than a thread is woken
constexpr float kLargestExponent = 80.0f;  // float32 holds e^88

constexpr auto rows_for =
    body_for<resample_argmax_rows__avx512, resample_argmax_rows__avx2, resample_argmax_rows__portable>;

// What is taken from each image's values, lest an exponential overflow.
std::vector<float> shifts_of(at::TensorList maps) {
  std::vector<float> shifts(maps[0].size(0), 0.0f);
  for (const at::Tensor& map : maps) {
    const at::Tensor largest = at::amax(map, {1, 2, 3}).to(at::kFloat);
    for (size_t n = 0; n < shifts.size(); ++n)
      shifts[n] = std::max(shifts[n], values_of<float>(largest)[n] - kLargestExponent);
  }
  return shifts;
}

at::Tensor label_by(ResampleArgmaxRows body, at::TensorList maps, at::IntArrayRef rows, at::IntArrayRef cols, bool exp,
                    bool align_corners) {
  return resample_argmax(maps, rows, cols, align_corners, [&](ResampleArgmax& p) {
    std::vector<std::vector<Tap<float>>> tables;
    const auto table = [&](int64_t in, int64_t out) {
      std::vector<Tap<float>>& taps = tables.emplace_back();
      for (int64_t i = 0; i < out; ++i) taps.push_back(resize_tap<float>(Mode::bilinear, align_corners, i, in, out));
      return taps.data();
    };
    std::vector<Blend> blends;
    for (int64_t k = 0; k < p.count; ++k) {
      for (int64_t y = 0; y < p.height; ++y) blend_of(blends.emplace_back(), p.maps[k].rows, y, align_corners);
      for (int64_t x = 0; x < p.width; ++x) blend_of(blends.emplace_back(), p.maps[k].cols, x, align_corners);
    }
    p.blends = blends.data();
    std::vector<Resample> resamples;
    for (int64_t k = 0; k < p.count; ++k) {
      const ResampleMap& m = p.maps[k];
      const Blend* down = p.blends + k * (p.height + p.width);
      resamples.push_back(
          {m.map, table(m.map.height, m.rows.length), table(m.map.width, m.cols.length), down, down + p.height});
    }
    const std::vector<float> shifts = exp ? shifts_of(maps) : std::vector<float>();
    if (exp) p.shifts = shifts.data();
    const int64_t grain = std::max<int64_t>(1, kGrain / (p.width * p.channels * p.count));
    at::parallel_for(0, p.batch * p.height, grain,
                     [&](int64_t begin, int64_t end) { body(p, resamples.data(), begin, end); });
  });
}

at::Tensor resample_argmax_cpu(at::TensorList maps, at::IntArrayRef rows, at::IntArrayRef cols, bool exp,
                               bool align_corners) {
  static const ResampleArgmaxRows body = rows_for(cpu_isa());
  return label_by(body, maps, rows, cols, exp, align_corners);
}

#ifdef HRNET_FAST_WITH_TESTS
// Runs the rows of one named instruction set, for the tests.
at::Tensor resample_argmax_body(at::TensorList maps, at::IntArrayRef rows, at::IntArrayRef cols, bool exp,
                                bool align_corners, std::string_view name) {
  const ResampleArgmaxRows body = rows_for(name);
  TORCH_CHECK_VALUE(body != nullptr, "resample_argmax_body: this machine cannot run the body ", std::string(name));
  return label_by(body, maps, rows, cols, exp, align_corners);
}
#endif

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("resample_argmax", resample_argmax_cpu); }

#ifdef HRNET_FAST_WITH_TESTS
TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "resample_argmax_body(Tensor[] maps, int[] rows, int[] cols, bool exp, bool align_corners, str body)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("resample_argmax_body", resample_argmax_body); }
#endif

}  // namespace hrnet_fast
