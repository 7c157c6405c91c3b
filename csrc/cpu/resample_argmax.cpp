// resample_argmax on the CPU. The formula and the schema are in kernels/resample_argmax.py.
#include "cpu/resample_argmax.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/features.h"
#include "host.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 65536;          // sums made by one task: fewer are done sooner than a thread is woken
constexpr float kLargestExponent = 80.0f;  // float32 holds e^88

ResampleArgmaxRows rows_for(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return cpu_features().avx512f ? resample_argmax_rows__avx512 : nullptr;
  if (isa == "avx2") return cpu_features().avx2 ? resample_argmax_rows__avx2 : nullptr;
#endif
  return isa == "portable" ? resample_argmax_rows__portable : nullptr;
}

// Row i of `index` and `weight`, [size, taps] each, as a Blend: taps of one index together, those of weight 0 left out.
std::vector<Blend> blends_of(const at::Tensor& index, const at::Tensor& weight, int64_t inner) {
  TORCH_CHECK_VALUE(index.dim() == 2 && index.size(1) <= kMaxTaps && index.sizes() == weight.sizes(),
                    "resample_argmax: taps of shapes ", index.sizes(), " and ", weight.sizes(),
                    "; (size, 1 to 4) is needed");
  TORCH_CHECK_TYPE(index.scalar_type() == at::kLong && weight.scalar_type() == at::kFloat,
                   "resample_argmax: taps need int64 indices and float32 weights");
  const at::Tensor places = index.contiguous(), parts = weight.contiguous();
  const int64_t taps = index.size(1), *place = places.const_data_ptr<int64_t>();
  const float* part = parts.const_data_ptr<float>();
  std::vector<Blend> blends(index.size(0), Blend{});
  for (Blend& blend : blends)
    for (int64_t t = 0; t < taps; ++t, ++place, ++part) {
      if (*part == 0) continue;
      TORCH_CHECK_VALUE(*place >= 0 && *place < inner, "resample_argmax: a tap reads place ", *place, " of ", inner);
      int at = 0;
      while (at < blend.count && blend.index[at] != *place) ++at;
      if (at == blend.count) blend.index[blend.count++] = int32_t(*place);
      blend.weight[at] += *part;
    }
  return blends;
}

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
    own = {taps_of(t.size(2), size[0], align_corners), taps_of(t.size(3), size[1], align_corners),
           blends_of(rows[k], row_weights[k], size[0]), blends_of(cols[k], col_weights[k], size[1])};
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
