// affine_crop on the CPU. The formula and the schema are in kernels/affine_crop.py.
#include "affine_crop_host.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "cpu/features.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 8192;  // pixels written by one task: fewer are done sooner than a thread is woken

constexpr auto rows_for = body_for<affine_crop_rows__avx512, affine_crop_rows__avx2, affine_crop_rows__portable>;

at::Tensor crop_by(AffineCropRows rows, const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                   at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip) {
  return affine_crop(image, matrices, size, mean, std, flip, [&](const AffineCrop& p, int64_t count) {
    const int64_t grain = std::max<int64_t>(1, kGrain / p.crop_width);
    at::parallel_for(0, count * p.crop_height, grain, [&](int64_t begin, int64_t end) { rows(p, begin, end); });
  });
}

at::Tensor affine_crop_cpu(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                           at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip) {
  static const AffineCropRows rows = rows_for(cpu_isa());
  return crop_by(rows, image, matrices, size, mean, std, flip);
}

#ifdef HRNET_FAST_WITH_TESTS
// Runs the rows of one named instruction set, for the tests.
at::Tensor affine_crop_body(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                            at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip, std::string_view body) {
  const AffineCropRows rows = rows_for(body);
  TORCH_CHECK_VALUE(rows != nullptr, "affine_crop_body: this machine cannot run the body ", std::string(body));
  return crop_by(rows, image, matrices, size, mean, std, flip);
}
#endif

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("affine_crop", affine_crop_cpu); }

#ifdef HRNET_FAST_WITH_TESTS
TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "affine_crop_body(Tensor image, Tensor matrices, int[2] size, float[] mean, float[] std, bool flip, str body)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("affine_crop_body", affine_crop_body); }
#endif

}  // namespace hrnet_fast
