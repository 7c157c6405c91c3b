// resample_argmax on the CPU. The formula and the schema are in kernels/resample_argmax.py.
#include <ATen/Parallel.h>
#include <ATen/ops/amax.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"
#include "resample_blends.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 65536;          // sums made by one task: fewer are done sooner than a thread is woken
constexpr float kLargestExponent = 80.0f;  // float32 holds e^88

constexpr auto rows_for =
    body_for<resample_argmax_rows__avx512, resample_argmax_rows__avx2, resample_argmax_rows__portable>;

std::vector<Tap<float>> taps_of(int64_t in, int64_t out, bool align_corners) {
  std::vector<Tap<float>> taps;
  for (int64_t i = 0; i < out; ++i) taps.push_back(resize_tap<float>(Mode::bilinear, align_corners, i, in, out));
  return taps;
}

struct Tables {
  std::vector<Tap<float>> inner_rows, inner_cols;
  std::vector<Blend> rows, cols;
};

// What is taken from each image's values, lest an exponential overflow.
std::vector<float> shifts_of(at::TensorList maps, bool exp) {
  std::vector<float> shifts(maps[0].size(0), 0.0f);
  if (!exp || shifts.empty()) return shifts;
  for (const at::Tensor& map : maps) {
    const at::Tensor largest = at::amax(map, {1, 2, 3}).to(at::kFloat);
    for (size_t n = 0; n < shifts.size(); ++n)
      shifts[n] = std::max(shifts[n], largest.const_data_ptr<float>()[n] - kLargestExponent);
  }
  return shifts;
}

at::Tensor resample_argmax(at::TensorList maps, at::IntArrayRef inner, at::TensorList rows, at::TensorList row_weights,
                           at::TensorList cols, at::TensorList col_weights, bool exp, bool align_corners,
                           ResampleArgmaxRows body) {
  const size_t count = maps.size();
  TORCH_CHECK_VALUE(count > 0 && inner.size() == 2 * count && rows.size() == count && row_weights.size() == count &&
                        cols.size() == count && col_weights.size() == count,
                    "resample_argmax: each map needs an inner size and its taps");
  std::vector<Tables> tables(count);
  std::vector<Resample> resamples(count);
  ResampleArgmax p = {};
  p.batch = maps[0].size(0), p.channels = maps[0].dim() == 4 ? maps[0].size(1) : 0;
  TORCH_CHECK_VALUE(p.channels <= 256, "resample_argmax: ", p.channels, " classes; labels have 8 bits");
  p.dtype = dtype_of(maps[0], "resample_argmax");
  TORCH_CHECK_TYPE(p.dtype != Dtype::f64, "resample_argmax: float64 is not taken");
  for (size_t k = 0; k < count; ++k) {
    const at::Tensor& t = maps[k];
    const at::IntArrayRef size = inner.slice(2 * k, 2);
    check_terms("resample_argmax", {maps[0], t}, size, "bilinear");
    TORCH_CHECK_VALUE(t.size(1) == p.channels, "resample_argmax: the maps differ in classes");
    Tables& own = tables[k];
    own.inner_rows = taps_of(t.size(2), size[0], align_corners);
    own.inner_cols = taps_of(t.size(3), size[1], align_corners);
    append_blends(own.rows, rows[k], row_weights[k], size[0]);
    append_blends(own.cols, cols[k], col_weights[k], size[1]);
    TORCH_CHECK_VALUE(own.rows.size() == tables[0].rows.size() && own.cols.size() == tables[0].cols.size(),
                      "resample_argmax: the maps' taps differ in size");
    const Term term = {t.const_data_ptr(), t.size(2), t.size(3), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
    resamples[k] = {term, own.inner_rows.data(), own.inner_cols.data(), own.rows.data(), own.cols.data()};
  }
  const std::vector<float> shifts = shifts_of(maps, exp);
  p.maps = resamples.data(), p.count = int64_t(count), p.shifts = shifts.data(), p.exp = exp;
  p.height = int64_t(tables[0].rows.size()), p.width = int64_t(tables[0].cols.size());
  const at::Tensor labels = at::empty({p.batch, p.height, p.width}, maps[0].options().dtype(at::kByte));
  p.labels = labels.mutable_data_ptr<uint8_t>();
  if (labels.numel() == 0) return labels;
  const int64_t grain = std::max<int64_t>(1, kGrain / (p.width * p.channels * p.count));
  at::parallel_for(0, p.batch * p.height, grain, [&](int64_t begin, int64_t end) { body(p, begin, end); });
  return labels;
}

at::Tensor resample_argmax_cpu(at::TensorList maps, at::IntArrayRef inner, at::TensorList rows,
                               at::TensorList row_weights, at::TensorList cols, at::TensorList col_weights, bool exp,
                               bool align_corners) {
  static const ResampleArgmaxRows body = rows_for(cpu_isa());
  return resample_argmax(maps, inner, rows, row_weights, cols, col_weights, exp, align_corners, body);
}

// Runs the rows of one named instruction set, for the tests.
at::Tensor resample_argmax_body(at::TensorList maps, at::IntArrayRef inner, at::TensorList rows,
                                at::TensorList row_weights, at::TensorList cols, at::TensorList col_weights, bool exp,
                                bool align_corners, std::string_view name) {
  const ResampleArgmaxRows body = rows_for(name);
  TORCH_CHECK_VALUE(body != nullptr, "resample_argmax_body: this machine cannot run the body ", std::string(name));
  return resample_argmax(maps, inner, rows, row_weights, cols, col_weights, exp, align_corners, body);
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("resample_argmax", resample_argmax_cpu); }

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "resample_argmax_body(Tensor[] maps, int[] inner, Tensor[] rows, Tensor[] row_weights, Tensor[] cols,"
      " Tensor[] col_weights, bool exp, bool align_corners, str body) -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("resample_argmax_body", resample_argmax_body); }

}  // namespace hrnet_fast
